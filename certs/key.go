package certs

import "log/slog"

// WarnExposed logs a warning if users other than the owner can read or change a file with a private key or another secret. A
// nil log means slog.Default. On Windows it does nothing.
func WarnExposed(log *slog.Logger, file string) {
	if how := exposed(file); how != "" {
		loggerOr(log).Warn("a file with a secret is not private: "+how+" (mend it with chmod 600)", "file", file)
	}
}

func loggerOr(log *slog.Logger) *slog.Logger {
	if log == nil {
		return slog.Default()
	}
	return log
}
