//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package socket

// reuseAddrIgnoresWildcard: with SO_REUSEADDR, Bind takes one address of a port at which another server listens on all
// addresses, and the other way round. The one address then hears of connections that were the other's.
const reuseAddrIgnoresWildcard = true
