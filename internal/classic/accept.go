package classic

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/switchboard-go/switchboard/socket"
)

// errDrained ends an accept loop: the server drains, and everybody who had connected before has been accepted.
var errDrained = errors.New("drained")

// onEachListener runs an accept loop for each listener, and returns when they have ended and the last client has gone.
// A listener that breaks drains the server.
func (s *Server) onEachListener(loop func(l *socket.Socket) error) error {
	failures := make([]error, len(s.Listeners))
	var loops sync.WaitGroup
	for i, l := range s.Listeners {
		loops.Go(func() {
			// Go's runtime opens a poller when a goroutine first has to wait for a descriptor, and dies if there is none
			// left for it. A deadline, even none, makes it do so now.
			l.SetDeadline(time.Time{})
			stop := context.AfterFunc(s.drain, func() { s.lastCall(l) })
			defer stop()
			if err := loop(l); err != errDrained {
				failures[i] = err
				s.beginDrain()
			}
			l.Close()
		})
	}
	loops.Wait()
	s.clients.Wait()
	return errors.Join(failures...)
}

// lastCall wakes the accept loop of a listener to take who is in the backlog, and then closes the listener, whether the
// loop has got so far or not.
func (s *Server) lastCall(l *socket.Socket) {
	l.SetDeadline(time.Now())
	time.AfterFunc(quietPeriod, func() { l.Close() })
}

// accept waits until the server has room for one more client, and then for the next client of l.
func (s *Server) accept(l *socket.Socket) (*client, error) {
	for {
		// Room is taken only when somebody comes, or the accept of one listener would hold it from the others.
		if !s.takeRoom() {
			return nil, errDrained
		}
		s.giveRoom()
		conn, peer, err := l.Accept()
		switch {
		case err == nil:
			s.scarcity.ends(s.Log)
			if !s.takeRoom() {
				conn.Close()
				return nil, errDrained
			}
			return s.welcome(conn, peer), nil
		case isScarcity(err):
			s.scarcity.begins(s.Log, err)
			select {
			case <-s.freed:
			case <-time.After(retryPeriod):
			case <-s.drain.Done():
				return nil, errDrained
			}
		case isPassing(err):
			// The next may be better.
		case !s.draining():
			return nil, err
		case errors.Is(err, os.ErrDeadlineExceeded):
			l.SetBlocking(false) // woken by lastCall: from here on do not wait
		default:
			return nil, errDrained
		}
	}
}

// takeRoom waits for one of the MaxConns places. A server that drains still gives those that are free.
func (s *Server) takeRoom() bool {
	if s.places == nil {
		return true
	}
	select {
	case s.places <- struct{}{}:
		return true
	default:
	}
	select {
	case s.places <- struct{}{}:
		return true
	case <-s.drain.Done():
		return false
	}
}

func (s *Server) giveRoom() {
	if s.places != nil {
		<-s.places
	}
}

// isScarcity tells whether accept failed because there is no descriptor or memory left for one more connection. The
// connection stays in the backlog then, and the listener stays readable.
func isScarcity(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) ||
		errors.Is(err, syscall.ENOBUFS) || errors.Is(err, syscall.ENOMEM)
}

// isPassing tells whether accept failed for a reason that lies with the one connection that it would have returned:
// Linux passes on errors that are already pending on it (see accept(2)).
func isPassing(err error) bool {
	for _, errno := range [...]syscall.Errno{
		syscall.EPROTO, syscall.ENOPROTOOPT, syscall.ENETDOWN, syscall.ENETUNREACH,
		syscall.EHOSTDOWN, syscall.EHOSTUNREACH,
	} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// A scarcity is a lack of descriptors. The log tells of it once, not at every attempt to accept.
type scarcity struct {
	mu   sync.Mutex
	told time.Time // when the log last told of one
	open bool      // whether it has yet to tell that it is over
}

const tellAgain = time.Minute // until a new scarcity is worth a new line

func (s *scarcity) begins(log *slog.Logger, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open || time.Since(s.told) < tellAgain {
		return
	}
	s.open, s.told = true, time.Now()
	log.Warn("accepting pauses until a connection ends", "reason", err)
}

func (s *scarcity) ends(log *slog.Logger) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open {
		s.open = false
		log.Warn("accepting goes on")
	}
}
