package rawio

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"
	"time"
)

// Windows has readiness for sockets only through Winsock's own calls, which the selectors do not carry: every call says so.
var errPlatform = fmt.Errorf("event loops are not there on windows yet: %w", errors.ErrUnsupported)

func Recv(fd int, p []byte) (int, syscall.Errno)            { return 0, syscall.ENOTSUP }
func Send(fd int, p []byte) (int, syscall.Errno)            { return 0, syscall.ENOTSUP }
func Sendv(fd int, bufs [][]byte) (int, syscall.Errno)      { return 0, syscall.ENOTSUP }
func Accept(fd int) (int, Peer, syscall.Errno)              { return -1, Peer{}, syscall.ENOTSUP }
func Untaken(fd int) int                                    { return -1 }
func Socket(family int) (int, error)                        { return -1, errPlatform }
func Dup(fd int) (int, error)                               { return -1, errPlatform }
func Close(fd int)                                          {}
func NoDelay(fd int) error                                  { return errPlatform }
func KeepAlive(fd int, after time.Duration) error           { return errPlatform }
func ShutdownWrite(fd int) syscall.Errno                    { return syscall.ENOTSUP }
func Reset(fd int)                                          {}
func SocketError(fd int) syscall.Errno                      { return syscall.ENOTSUP }
func ConnectInet(int, netip.AddrPort, uint32) syscall.Errno { return syscall.ENOTSUP }
func ConnectUnix(fd int, path string) syscall.Errno         { return syscall.ENOTSUP }
func Uninherited(fd int) int                                { return 0 }
func LocalName(fd int) (Peer, string)                       { return Peer{}, "" }
func PeerName(fd int) (Peer, string)                        { return Peer{}, "" }

// What unix has.
const (
	INET  = syscall.AF_INET
	INET6 = syscall.AF_INET6
	UNIX  = syscall.AF_UNIX
)
