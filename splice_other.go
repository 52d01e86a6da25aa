//go:build !linux

package switchboard

import "syscall"

// Only Linux moves bytes between sockets inside the kernel for any two of them.
type inflow struct{}

func (h *pipe) spliceFrom(*Conn, int)             {}
func (h *pipe) endSplice(*Conn)                   {}
func (c *Conn) splice() bool                      { return false }
func (c *Conn) pushInflow() (bool, syscall.Errno) { return true, 0 }
func (c *Conn) dropInflow()                       {}
func (l *loop) closeSpares()                      {}
