package certs

import "log/slog"

// WarnExposed warns in the log, or in slog.Default if that is nil, if others than the owner of a private key's file can
// read or change it. On Windows it does not look.
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
