package main

import "log/slog"

// holdSignals does nothing, as none of these signals is there.
func holdSignals([]string) {}

func refuseRestarts() {}

// heedSignals does nothing: Windows has no signals that ask for statistics or to reload.
func (f *figures) heedSignals(*slog.Logger) {}
