package switchboard

import (
	"io"
	"net"
	"os"
	"time"
)

// Read implements net.Conn.
func (st *stream) Read(p []byte) (int, error) {
	st.reading.Lock()
	defer st.reading.Unlock()
	st.mu.Lock()
	r := st.reader
	st.mu.Unlock()
	if r == nil {
		return 0, st.c.closedError("read") // f has returned: there is no reading behind its back
	}
	return r.Read(p)
}

// input is a stream below its bufio.Reader.
type input struct{ st *stream }

func (in input) Read(p []byte) (int, error) {
	st := in.st
	for {
		st.mu.Lock()
		if st.in != nil {
			n := copy(p, st.in.B[st.at:])
			st.at += n
			st.taken += int64(n)
			if st.at == len(st.in.B) {
				st.drop()
			}
			if st.paused && (st.in == nil || len(st.in.B)-st.at <= st.c.loop.limits.LowWater) {
				st.paused = false
				st.c.Do(st.c.Resume)
			}
			st.mu.Unlock()
			return n, nil
		}
		ended, err, until := st.inputEnd, st.err, st.readUntil
		if st.over && err == nil {
			err = st.c.closedError("read")
		}
		st.mu.Unlock()
		if ended {
			return 0, io.EOF
		}
		if err != nil {
			return 0, err
		}
		if err := wait(st.input, until); err != nil {
			return 0, st.timeout("read", err)
		}
	}
}

// Write implements net.Conn.
func (st *stream) Write(p []byte) (n int, err error) {
	lim := st.c.loop.limits
	st.writing.Lock()
	defer st.writing.Unlock()
	for {
		for len(p) > 0 && !st.c.Full() {
			part := p[:min(len(p), max(lim.QueueLimit-lim.HighWater, 1))]
			if _, err := st.c.Write(part); err == ErrQueueFull { // another goroutine writes as well
				break
			} else if err != nil {
				return n, err
			}
			p = p[len(part):]
			n += len(part)
		}
		if len(p) == 0 {
			return n, nil
		}
		st.mu.Lock()
		err, until := st.err, st.writeUntil
		st.mu.Unlock()
		if err != nil {
			return n, err
		}
		if err := wait(st.room, until); err != nil {
			return n, st.timeout("write", err)
		}
	}
}

// wait waits for a token, or until the deadline unless that is zero.
func wait(ch chan struct{}, until time.Time) error {
	if until.IsZero() {
		<-ch
		return nil
	}
	left := time.Until(until)
	if left <= 0 {
		return os.ErrDeadlineExceeded
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-ch:
		return nil
	case <-timer.C:
		return os.ErrDeadlineExceeded
	}
}

func (st *stream) timeout(call string, err error) error {
	return &net.OpError{Op: call, Net: "tcp", Addr: st.c.RemoteAddr(), Err: err}
}

// Close implements net.Conn: what was written is still sent.
func (st *stream) Close() error {
	st.mu.Lock()
	if st.err == nil {
		st.err = net.ErrClosed
	}
	st.drop()
	st.mu.Unlock()
	token(st.input)
	token(st.room)
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
	st.readUntil = t
	st.mu.Unlock()
	token(st.input)
	return nil
}

// SetWriteDeadline implements net.Conn.
func (st *stream) SetWriteDeadline(t time.Time) error {
	st.mu.Lock()
	st.writeUntil = t
	st.mu.Unlock()
	token(st.room)
	return nil
}
