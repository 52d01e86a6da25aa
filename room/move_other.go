//go:build !linux

package room

import (
	"errors"
	"fmt"
	"net"
	"os"
)

var errNotLinux = fmt.Errorf("room: rooms move only between processes on Linux: %w", errors.ErrUnsupported)

func socketPair() (net.Conn, *os.File, error) { return nil, nil, errNotLinux }

func connOf(*os.File) (net.Conn, error) { return nil, errNotLinux }

func passStore(net.Conn, Store) error { return errNotLinux }

func takeStore(net.Conn, Store) error { return errNotLinux }
