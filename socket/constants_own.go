//go:build darwin || windows

package socket

// The system does not know these flags of a type. New and Pair do, and take them off.
const (
	SOCK_NONBLOCK = 0x20000000 // with a type: in non-blocking mode
	SOCK_CLOEXEC  = 0x10000000 // with a type: not inherited, as every socket of this package
)
