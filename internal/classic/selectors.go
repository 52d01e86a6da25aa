package classic

import (
	"context"

	"github.com/switchboard-go/switchboard/selector"
	"github.com/switchboard-go/switchboard/socket"
)

// The selectors server is one thread that waits for all its clients at once, on any mechanism: poll, epoll, kqueue or afd.
// Unlike with select, what to wait for is told when it changes, not before every wait, and each event brings the
// caller's own data with it: a listener or a line, so that no table of clients is needed.
func (s *Server) selectors(mechanism string) error {
	sel, err := selector.Open(mechanism)
	if err != nil {
		return err
	}
	defer sel.Close()
	defer context.AfterFunc(s.drain, func() { sel.Wake() })()
	x := &exchange{thread: s.newThread(), Selector: sel}
	defer x.close()

	for !x.done() {
		if err := x.attend(x.accepting()); err != nil {
			return err
		}
		ready, err := x.Select(x.timeout())
		if err != nil {
			return err
		}
		x.tick()
		for _, r := range ready {
			switch who := r.Key.Data.(type) {
			case *socket.Socket:
				if err := x.connect(who); err != nil {
					return err
				}
			case *line:
				if r.Events&selector.Read != 0 {
					x.read(who)
				}
				if r.Events&selector.Write != 0 {
					x.write(who)
				}
				x.follow(who)
			}
		}
		for _, l := range x.expired() {
			x.follow(l)
		}
		if x.closing() {
			for _, l := range x.Listeners {
				if err := x.connect(l); err != nil {
					return err
				}
			}
			x.attend(false)
			x.stopListening()
		}
	}
	return nil
}

// An exchange is the thread and the selector it waits on.
type exchange struct {
	*thread
	*selector.Selector
	attends bool // whether the listeners are registered
}

// attend waits for new clients only while there is room for them.
func (x *exchange) attend(on bool) error {
	if on == x.attends {
		return nil
	}
	x.attends = on
	for _, l := range x.Listeners {
		var err error
		if on {
			err = x.Register(l.FD(), selector.Read, l)
		} else {
			_, err = x.Unregister(l.FD())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// connect admits the clients that wait at a listener.
func (x *exchange) connect(l *socket.Socket) error {
	newcomers, err := x.admit(l)
	for _, ln := range newcomers {
		if err := x.Register(ln.FD(), ln.wants(), ln); err != nil {
			ln.end(err)
			x.hangUp(ln)
		}
	}
	return err
}

// follow makes the selector wait for what a line wants now, or takes it out when the line is over.
func (x *exchange) follow(l *line) {
	wants := l.wants()
	if wants == 0 {
		x.Forget(l.FD())
		x.hangUp(l)
	} else if err := x.Modify(l.FD(), wants, l); err != nil {
		l.end(err)
		x.follow(l)
	}
}
