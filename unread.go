package switchboard

import "github.com/switchboard-go/switchboard/internal/buffer"

// Unread makes p unread again: bytes that the handler has consumed and has no use for. They are offered to the handler
// that serves c when the loop comes back to c, before what is received next. If the end of input was told, it is told
// once more after them. A protocol that read ahead and hands the connection to another one needs it.
//
// p may be reused when Unread returns. It belongs to the loop, and must not be called in Handler.Data or
// InputEnder.InputEnded.
func (c *Conn) Unread(p []byte) {
	if len(p) > 0 {
		b := buffer.Append(nil, p)
		if c.in != nil {
			b = buffer.Append(b, c.in.B)
			c.dropInput()
		}
		c.in = b
		if len(b.B) >= c.loop.limits.InputLimit {
			c.flags |= inputFull
		}
	}
	c.flags &^= endTold
	c.later(todoOffer)
}
