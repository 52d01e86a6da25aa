package handover

import (
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"
)

// A Link is the Unix socket between two processes. One goroutine uses it at a time, but for Expire.
type Link struct {
	conn *net.UnixConn

	mu      sync.Mutex
	expired bool
	final   bool

	// Of the frame that is being received: what has come of it stays if a deadline ends the waiting.
	head        []byte
	payload     []byte
	descriptors []int
}

// NewLink returns the link over conn, which stays its caller's.
func NewLink(conn *net.UnixConn) *Link { return &Link{conn: conn, head: make([]byte, 0, headerSize)} }

// SetDeadline limits everything that is sent and received from now on. After Expire it does nothing.
func (l *Link) SetDeadline(t time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.expired {
		l.conn.SetDeadline(t)
	}
}

// Expire ends Send and Receive, now and later. Any goroutine may call it.
func (l *Link) Expire() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.final {
		l.expired = true
		l.conn.SetDeadline(time.Unix(1, 0))
	}
}

// Commit has Expire do nothing from now on, and sets the last deadline. It tells whether Expire has not come first; a taker
// must not go on then.
func (l *Link) Commit(deadline time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.final = true
	l.conn.SetDeadline(deadline)
	return !l.expired
}

// Send sends a frame with copies of descriptors. The system has taken all of it when Send returns nil.
func (l *Link) Send(kind Kind, payload []byte, descriptors []int) error {
	if len(payload) > MaxFrame {
		return fmt.Errorf("handover: a frame of %d bytes is longer than %d", len(payload), MaxFrame)
	}
	if err := send(l.conn, appendHeader(nil, kind, len(descriptors), len(payload)), descriptors); err != nil {
		return err
	}
	if len(payload) == 0 {
		return nil
	}
	_, err := l.conn.Write(payload)
	return err
}

// A Frame is what Receive returns.
type Frame struct {
	Kind        Kind
	Payload     []byte // valid until the next frame is received
	Descriptors []int  // the caller's; fewer than Sent if this process has no room for more
	Sent        int
}

// Receive receives a frame of one of the kinds that are wanted. It returns a *RefusedError if the other process refused.
func (l *Link) Receive(want ...Kind) (Frame, error) {
	var zero Frame
	for len(l.head) < headerSize {
		n, descriptors, err := receive(l.conn, l.head[len(l.head):headerSize])
		l.head = l.head[:len(l.head)+n]
		l.descriptors = append(l.descriptors, descriptors...)
		if err == io.EOF && len(l.head) > 0 {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return zero, err
		}
	}
	f := Frame{}
	kind, sent, length, err := readHeader(l.head)
	if err != nil || len(l.descriptors) > sent {
		return zero, ErrFormat
	}
	if err := l.fill(length); err != nil {
		return zero, err
	}
	f = Frame{kind, l.payload, l.descriptors, sent}
	l.head, l.payload, l.descriptors = l.head[:0], l.payload[:0], nil
	switch {
	case kind == Refused:
		err = &RefusedError{string(f.Payload[:min(len(f.Payload), 1000)])}
	case !slices.Contains(want, kind):
		err = fmt.Errorf("%w: a frame of kind %d where %v is due", ErrFormat, kind, want)
	}
	if err != nil {
		CloseAll(f.Descriptors)
		return zero, err
	}
	return f, nil
}

// ReceiveLast receives a frame if all of it has come, also after a deadline or Expire. The other process cannot send any more
// when ReceiveLast begins to look.
func (l *Link) ReceiveLast(want Kind) (Frame, error) {
	if err := l.conn.CloseRead(); err != nil {
		return Frame{}, err
	}
	l.Commit(time.Now().Add(time.Minute)) // nothing is waited for: behind what has come is the end
	return l.Receive(want)
}

// Close closes the descriptors that came with a part of a frame. The socket stays open.
func (l *Link) Close() {
	CloseAll(l.descriptors)
	l.descriptors = nil
}

// CloseAll closes descriptors.
func CloseAll(descriptors []int) {
	for _, fd := range descriptors {
		closeDescriptor(fd)
	}
}

// fill receives the payload up to n bytes. Memory is taken as they come: what a header only announces takes none.
func (l *Link) fill(n int) error {
	const step = 1 << 20
	for len(l.payload) < n {
		more := min(n-len(l.payload), step)
		l.payload = slices.Grow(l.payload, more)
		got, err := l.conn.Read(l.payload[len(l.payload) : len(l.payload)+more])
		l.payload = l.payload[:len(l.payload)+got]
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
	}
	return nil
}
