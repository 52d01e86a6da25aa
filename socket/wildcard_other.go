//go:build !(darwin || dragonfly || freebsd || netbsd || openbsd)

package socket

// reuseAddrIgnoresWildcard: Bind fails when anybody listens at the port on one address or on all, whatever the option.
const reuseAddrIgnoresWildcard = false
