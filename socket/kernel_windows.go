package socket

import (
	"errors"
	"fmt"
)

// Sockets on Windows are not there yet: every call says so. Addresses, names and byte order work.

const (
	maxPath     = 107
	staleProbes = 1
)

var errNoSockets = fmt.Errorf("sockets on Windows: %w", errors.ErrUnsupported)

type sockaddr struct{}

func (*sockaddr) encode(Addr) error     { return errNoSockets }
func (*sockaddr) decode() (Addr, error) { return Addr{}, errNoSockets }

func sysSocket(family, typ, proto int) (fd int, err error)      { return -1, errNoSockets }
func sysPair(family, typ, proto int) (fds [2]int, err error)    { return fds, errNoSockets }
func sysBind(fd int, to Addr) error                             { return errNoSockets }
func sysConnect(fd int, to Addr) error                          { return errNoSockets }
func sysListen(fd, backlog int) error                           { return errNoSockets }
func sysAccept(fd int) (conn int, peer Addr, err error)         { return -1, Addr{}, errNoSockets }
func sysShutdown(fd, how int) error                             { return errNoSockets }
func sysClose(fd int) error                                     { return errNoSockets }
func sysDup(fd int) (int, error)                                { return -1, errNoSockets }
func sysLocalAddr(fd int) (a Addr, family int, err error)       { return Addr{}, 0, errNoSockets }
func sysPeerAddr(fd int) (a Addr, family int, err error)        { return Addr{}, 0, errNoSockets }
func sysSetNonblock(fd int, on bool) error                      { return errNoSockets }
func sysInheritable(fd int) (bool, error)                       { return false, errNoSockets }
func sysSetInheritable(fd int, on bool) error                   { return errNoSockets }
func sysRecv(fd int, p []byte, flags int) (int, error)          { return 0, errNoSockets }
func sysSend(fd int, p []byte, flags int) (int, error)          { return 0, errNoSockets }
func sysNoSigpipe(fd int) error                                 { return errNoSockets }
func sysProtocol(fd int) int                                    { return 0 }
func sysOption(fd, level, name int) (int, error)                { return 0, errNoSockets }
func sysSetOption(fd, level, name, value int) error             { return errNoSockets }
func sysOptionBytes(fd, level, name int, p []byte) (int, error) { return 0, errNoSockets }
func sysSetOptionBytes(fd, level, name int, value []byte) error { return errNoSockets }
func sysLinger(fd int) (on bool, seconds int, err error)        { return false, 0, errNoSockets }
func sysSetLinger(fd int, on bool, seconds int) error           { return errNoSockets }

func sysRecvFrom(fd int, p []byte, flags int, from *sockaddr) (int, error) { return 0, errNoSockets }
func sysSendTo(fd int, p []byte, flags int, to *sockaddr) (int, error)     { return 0, errNoSockets }

func sysRecvMsg(fd int, buffers [][]byte, control []byte, flags int) (n, controlLen, msgFlags int, from Addr, err error) {
	return 0, 0, 0, Addr{}, errNoSockets
}

func sysSendMsg(fd int, buffers [][]byte, control []byte, to Addr, flags int) (int, error) {
	return 0, errNoSockets
}

func sysSendFile(fd, file int, offset int64, count int) (int, error) { return 0, errNoSockets }
func sysLockDir(path string) (lock int, err error)                   { return -1, errNoSockets }

func controlLen(n int) int                    { return 0 }
func controlSpace(n int) int                  { return 0 }
func encodeControl(list []Control) []byte     { return nil }
func decodeControl(b []byte) (list []Control) { return nil }
func encodeFDs(fds []int) []byte              { return nil }
func decodeFDs(b []byte) (fds []int)          { return nil }
