//go:build !linux

package handover

import (
	"errors"
	"fmt"
	"net"
)

// What decides whose the connections are, CloseRead, keeps what has come only on Linux.
var errNotLinux = fmt.Errorf("handover: only between processes on Linux: %w", errors.ErrUnsupported)

func send(*net.UnixConn, []byte, []int) error { return errNotLinux }

func receive(*net.UnixConn, []byte) (int, []int, error) { return 0, nil, errNotLinux }

func closeDescriptor(int) {}

// ReadPipe is not needed: nothing is handed over here.
func ReadPipe(int, []byte) (int, error) { return 0, errNotLinux }
