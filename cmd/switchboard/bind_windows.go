package main

import (
	"errors"
	"fmt"

	"github.com/switchboard-go/switchboard/socket"
)

func bindTo(int, socket.Addr) error {
	return fmt.Errorf("--source on windows: %w", errors.ErrUnsupported)
}
