//go:build !linux

package main

import (
	"errors"
	"log/slog"

	"github.com/switchboard-go/switchboard"
)

// A predecessor is the process that this one takes over from: there is none where connections cannot be handed over.
type predecessor struct{}

func findPredecessor() (*predecessor, error) { return nil, nil }

func (*predecessor) takeOver(*slog.Logger, *switchboard.Server) error { return errors.ErrUnsupported }

func heedRestart(*slog.Logger, *switchboard.Server) (replaced <-chan struct{}, stop func()) {
	return nil, func() {}
}
