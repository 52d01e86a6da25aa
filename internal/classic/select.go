package classic

import (
	"context"
	"errors"

	"github.com/switchboard-go/switchboard/selector"
	"github.com/switchboard-go/switchboard/socket"
)

// The select server is one thread that waits for all its clients at once, with the oldest call for it. Select takes
// three lists of descriptors, those that may become readable, writable and exceptional, and returns three shorter ones.
// The lists are made anew for each call: every message of one client costs a walk over all of them.
func (s *Server) selectLists() error {
	bell, ring, err := socket.Pair(socket.AF_UNIX, socket.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	defer bell.Close()
	defer ring.Close()
	// To end a select from outside, the classic way is a byte sent to one of the sockets that it waits for.
	defer context.AfterFunc(s.drain, func() { ring.Send([]byte{0}) })()
	t := s.newThread()
	defer t.close()

	lines := make(map[int]*line) // the clients by descriptor
	listeners := make(map[int]*socket.Socket)
	for _, l := range s.Listeners {
		listeners[l.FD()] = l
	}
	var read, write, all []int
	for !t.done() {
		read, write, all = append(read[:0], bell.FD()), write[:0], all[:0]
		for fd, l := range lines {
			wants := l.wants()
			if wants == 0 {
				delete(lines, fd)
				t.hangUp(l)
				continue
			}
			if wants&selector.Read != 0 {
				read = append(read, fd)
			}
			if wants&selector.Write != 0 {
				write = append(write, fd)
			}
			all = append(all, fd)
		}
		if t.accepting() {
			for fd := range listeners {
				read = append(read, fd)
			}
		}

		readable, writable, exceptional, err := selector.Select(read, write, all, t.timeout())
		if bad := (*selector.BadFDError)(nil); errors.As(err, &bad) && lines[bad.FD] != nil {
			lines[bad.FD].end(err)
			continue
		}
		if err != nil {
			return err
		}

		t.tick()
		for _, fd := range exceptional {
			// Urgent data, for which no service here has a use: while it is there, select does not wait.
			lines[fd].RecvFlags(t.piece[:1], socket.MSG_OOB)
		}
		var ready []*socket.Socket
		for _, fd := range readable {
			if l := lines[fd]; l != nil {
				t.read(l)
			} else if listeners[fd] != nil {
				ready = append(ready, listeners[fd])
			} else {
				bell.Recv(t.piece)
			}
		}
		for _, fd := range writable {
			t.write(lines[fd])
		}
		t.expired()
		closing := t.closing()
		if closing {
			ready = s.Listeners
		}
		for _, l := range ready {
			newcomers, err := t.admit(l)
			for _, ln := range newcomers {
				lines[ln.FD()] = ln
			}
			if err != nil {
				return err
			}
		}
		if closing {
			t.stopListening()
		}
	}
	return nil
}
