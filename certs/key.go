package certs

import "log/slog"

// WarnExposed logs a warning if users other than the owner can read or change the file of a private key. A nil log
// means slog.Default. On Windows it does nothing.
func WarnExposed(log *slog.Logger, keyFile string) {
	if how := exposed(keyFile); how != "" {
		loggerOr(log).Warn("a private key is not private: "+how+" (mend it with chmod 600)", "key", keyFile)
	}
}

func loggerOr(log *slog.Logger) *slog.Logger {
	if log == nil {
		return slog.Default()
	}
	return log
}
