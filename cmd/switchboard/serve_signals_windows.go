package main

import "log/slog"

// heedSignals does nothing: Windows has no signals that ask for statistics or to reload.
func (f *figures) heedSignals(*slog.Logger) {}
