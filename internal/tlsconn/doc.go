// Package tlsconn feeds crypto/tls with bytes and takes bytes from it. It reads no network, waits for nothing after the
// handshake and starts no goroutine but one for each handshake, so an event loop can hold many TLS connections.
//
// A Conn goes through two phases. The handshake needs a goroutine, because crypto/tls cannot leave one in the middle and
// come back. It goes in steps:
//
//	c := tlsconn.Server(config, addrs)
//	c.Step(received, done)     // returns at once; done is called when the step is over
//	...                        // until then c and received belong to the handshake
//	send(c.Output())
//	if over, err := c.Handshaken(); over {
//		rest := c.Unread() // the first bytes for Decrypt
//	}
//
// After that every call does its work before it returns, with buffers of the caller's:
//
//	plain, rest, answers, err := c.Decrypt(plain[:0], received, answers[:0])
//	records, err := c.Encrypt(records[:0], plain)
//	records, err = c.CloseNotify(records)
//
// One goroutine at a time may use a Conn, the owner's. Only State may be called from any goroutine.
package tlsconn
