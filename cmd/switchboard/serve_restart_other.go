//go:build !linux

package main

import (
	"context"
	"errors"
	"log/slog"
	"net"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/internal/systemd"
)

// canRestart tells whether connections can be handed over here.
const canRestart = false

// A takeover is a Server's Takeover.
type takeover = func(ctx context.Context, from *net.UnixConn) (switchboard.Handed, error)

// A predecessor is the process that this one takes over from: there is none where connections cannot be handed over.
type predecessor struct{ files []socketFile }

type socketFile struct{}

func socketFiles([]string) []socketFile { return nil }

func (*socketFile) remove() {}

func hasPredecessor() bool { return false }

func findPredecessor() (*predecessor, error) { return nil, nil }

func (*predecessor) takeOver(*slog.Logger, takeover) error { return errors.ErrUnsupported }

func (*predecessor) checkListen([]string) error { return nil }

func heedRestart(*slog.Logger, *switchboard.Server, *systemd.Manager, ownedFiles) (replaced <-chan struct{}, stop func()) {
	return nil, func() {}
}
