package tlsconn_test

import "net"

// A holding connection sends the first writes, and keeps back the others until it is released.
type holding struct {
	net.Conn
	after int
	held  []byte
}

func (c *holding) Write(p []byte) (int, error) {
	if c.after > 0 {
		c.after--
		return c.Conn.Write(p)
	}
	c.held = append(c.held, p...)
	return len(p), nil
}

func (c *holding) release() error {
	_, err := c.Conn.Write(c.held)
	return err
}
