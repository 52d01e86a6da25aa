// Package service holds what a server says, apart from how it waits for its clients.
//
// A Service does no input or output of its own and never waits, so the same one runs in a blocking loop, in a loop over
// a selector, or in a handler of the event loop. It has two halves, and most services use only one of them:
//
//   - Answer turns what a client has sent into what it gets back (echo, discard).
//   - Speech is what a client is told unasked, pulled piece by piece as there is room to send it (chargen, daytime,
//     time). An endless speech therefore never piles up in front of a client that does not read.
//
// The architecture around it does the rest. Without a Speech, a conversation ends when the client has ended its input
// and has got every answer. With one, it ends when the speech does, and what the client sends is thrown away.
package service

import "io"

// A Service is what one server says. The value may be shared by any number of connections and goroutines.
type Service struct {
	Name  string // as the command knows it: "echo"
	About string // one line for the help text

	// Answer returns the reply to p, the bytes just received. The reply may be p itself, and is the caller's until it
	// changes p. Nil: what is received is thrown away.
	Answer func(p []byte) []byte

	// Speech starts what one client is told unasked. Its Read never waits, and returns io.EOF, and no other error,
	// once all is said, after which the server ends its side of the connection. Nil: it speaks only when spoken to.
	Speech func() io.Reader
}

// All lists the services, in the order of their RFCs.
func All() []Service {
	return []Service{Echo, Discard, Chargen, Daytime, Time}
}
