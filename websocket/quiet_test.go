package websocket

import "log/slog"

var quiet = slog.New(slog.DiscardHandler)
