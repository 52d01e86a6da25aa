package switchboard

import (
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// Read implements net.Conn.
func (st *stream) Read(p []byte) (int, error) {
	st.reading.Lock()
	defer st.reading.Unlock()
	st.mu.Lock()
	r, closed, until := st.reader, st.closed, st.readUntil
	st.mu.Unlock()
	switch {
	case closed || r == nil: // r is nil when f has returned: there is no reading behind its back
		return 0, st.c.closedError("read")
	case past(until):
		return 0, st.timeout("read", os.ErrDeadlineExceeded)
	}
	return r.Read(p)
}

// input is a stream below the bufio.Reader of one call of f.
type input struct {
	st   *stream
	over atomic.Bool // f has returned
}

func (in *input) Read(p []byte) (int, error) {
	st := in.st
	for {
		st.mu.Lock()
		if in.over.Load() || st.closed {
			st.mu.Unlock()
			return 0, st.c.closedError("read")
		}
		ended, err, until := st.inputEnd, st.err, st.readUntil
		if past(until) {
			st.mu.Unlock()
			return 0, st.timeout("read", os.ErrDeadlineExceeded)
		}
		if st.in != nil {
			n := copy(p, st.in.B[st.at:])
			st.at += n
			st.taken += int64(n)
			if st.at == len(st.in.B) {
				st.drop()
			}
			if st.paused && (st.in == nil || len(st.in.B)-st.at <= st.c.loop.limits.LowWater) {
				st.paused = false
				st.c.Do(st.c.resume)
			}
			st.mu.Unlock()
			return n, nil
		}
		st.mu.Unlock()
		if ended {
			return 0, io.EOF
		}
		if err != nil {
			return 0, err
		}
		st.waits.Store(true)
		if st.untimed.Swap(false) {
			st.c.loop.give(task{f: st.c.schedule})
		}
		err = wait(st.input, until)
		st.waits.Store(false)
		if err != nil {
			return 0, st.timeout("read", err)
		}
	}
}

// Write implements net.Conn.
func (st *stream) Write(p []byte) (n int, err error) {
	most := st.c.loop.limits.HighWater
	st.writing.Lock()
	defer st.writing.Unlock()
	for {
		st.mu.Lock()
		err, until, closed := st.err, st.writeUntil, st.closed
		st.mu.Unlock()
		switch {
		case closed:
			return n, st.c.closedError("write")
		case err != nil:
			return n, err
		case past(until):
			return n, st.timeout("write", os.ErrDeadlineExceeded)
		case len(p) == 0:
			return n, nil
		case st.c.Full():
			if err := wait(st.room, until); err != nil {
				return n, st.timeout("write", err)
			}
			continue
		}
		took, err := st.c.writeSome(p[:min(len(p), most)], false)
		if err != nil {
			return n, err
		}
		p = p[took:]
		n += took
		if len(p) == 0 {
			return n, nil
		}
	}
}

// past tells whether a deadline is over.
func past(until time.Time) bool { return !until.IsZero() && time.Until(until) <= 0 }

// wait waits for a token, or until the deadline unless that is zero.
func wait(ch chan struct{}, until time.Time) error {
	if until.IsZero() {
		<-ch
		return nil
	}
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case <-ch:
		return nil
	case <-timer.C:
		return os.ErrDeadlineExceeded
	}
}

func (st *stream) timeout(call string, err error) error {
	addr := st.c.RemoteAddr()
	return &net.OpError{Op: call, Net: networkOf(addr), Addr: addr, Err: err}
}

// Close implements net.Conn: what was written is still sent. A second Close is an error that is net.ErrClosed.
func (st *stream) Close() error {
	st.mu.Lock()
	if st.closed {
		st.mu.Unlock()
		return st.c.closedError("close")
	}
	st.closed = true
	if st.err == nil {
		st.err = net.ErrClosed
	}
	st.drop()
	st.mu.Unlock()
	signal(st.input)
	signal(st.room)
	return st.c.Close()
}

// CloseWrite ends the output, as (*net.TCPConn).CloseWrite does.
func (st *stream) CloseWrite() error { return st.c.CloseWrite() }

// LocalAddr implements net.Conn.
func (st *stream) LocalAddr() net.Addr { return st.c.LocalAddr() }

// RemoteAddr implements net.Conn.
func (st *stream) RemoteAddr() net.Addr { return st.c.RemoteAddr() }

// SetDeadline implements net.Conn.
func (st *stream) SetDeadline(t time.Time) error {
	st.SetReadDeadline(t)
	return st.SetWriteDeadline(t)
}

// SetReadDeadline implements net.Conn.
func (st *stream) SetReadDeadline(t time.Time) error {
	st.mu.Lock()
	closed := st.closed
	st.readUntil = t
	st.mu.Unlock()
	if closed {
		return st.c.closedError("set deadline")
	}
	signal(st.input)
	return nil
}

// SetWriteDeadline implements net.Conn.
func (st *stream) SetWriteDeadline(t time.Time) error {
	st.mu.Lock()
	closed := st.closed
	st.writeUntil = t
	st.mu.Unlock()
	if closed {
		return st.c.closedError("set deadline")
	}
	signal(st.room)
	return nil
}
