//go:build openbsd || windows

package socket

// sysPeerCredentials: golang.org/x/sys does not have the call of OpenBSD, and Windows has none.
func sysPeerCredentials(fd int) (Credentials, error) { return Credentials{}, unsupported() }
