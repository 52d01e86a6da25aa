package main

import (
	"context"
	"log/slog"
	"strings"
)

// Errors of package zmtp name the fields of its Options. A user of the command is told the flag, or the limit alone where there is
// no flag.
var (
	zmqDialNames = strings.NewReplacer(
		"where Options.MaxMessageSize allows", "where dial takes at most",
		", which Options.MaxParts allows", ", which is the limit",
		"Options.Security must be of the same kind on both sides", "--curve-server-key is for a server of CURVE, and a server of CURVE needs it",
		"bytes of Options.SubscriptionLimit", "bytes that are allowed",
		"Options.SubscriptionLimit", "their limit",
	)
	zmqServeNames = strings.NewReplacer(
		"where Options.MaxMessageSize allows", "where --max-message allows",
		", which Options.MaxParts allows", ", which is the limit",
		"Options.Security must be of the same kind on both sides", "with --curve-secret peers must speak CURVE, without it NULL",
		"bytes of Options.SubscriptionLimit", "bytes that are allowed",
		"Options.SubscriptionLimit", "their limit",
		"Options.SendLimit", "their part of --memory-limit",
		"Options.MaxPeers", "--max-conns",
		"Server.MemoryLimit", "the part of --memory-limit that is for connections",
	)
)

// A namedError is an error whose text names flags.
type namedError struct {
	error
	text string
}

func (e namedError) Error() string { return e.text }
func (e namedError) Unwrap() error { return e.error }

// withFlags returns err with the names of flags in its text.
func withFlags(names *strings.Replacer, err error) error {
	if err == nil {
		return nil
	}
	text := names.Replace(err.Error())
	if text == err.Error() {
		return err
	}
	return namedError{err, text}
}

// A namedLog is a slog.Handler that names flags in messages and errors.
type namedLog struct {
	slog.Handler
	names *strings.Replacer
}

func (h namedLog) Handle(ctx context.Context, r slog.Record) error {
	out := slog.NewRecord(r.Time, r.Level, h.names.Replace(r.Message), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		if err, ok := a.Value.Any().(error); ok {
			a.Value = slog.AnyValue(withFlags(h.names, err))
		}
		out.AddAttrs(a)
		return true
	})
	return h.Handler.Handle(ctx, out)
}

func (h namedLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	return namedLog{h.Handler.WithAttrs(attrs), h.names}
}

func (h namedLog) WithGroup(name string) slog.Handler {
	return namedLog{h.Handler.WithGroup(name), h.names}
}
