//go:build !linux

package socket

const optPassCredentials = lacking

func credentialsOf(Control) (Credentials, bool) { return Credentials{}, false }
