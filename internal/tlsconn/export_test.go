package tlsconn

// IsClient reports whether c begins the handshake.
func IsClient(c *Conn) bool { return c.client }
