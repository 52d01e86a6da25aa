package classic

import (
	"context"
	"log/slog"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"

	"github.com/switchboard-go/switchboard/internal/service"
	"github.com/switchboard-go/switchboard/socket"
)

// A Server serves one service on its listeners, in the mode that Run is given. The fields are set before Run and not
// changed after it has begun.
type Server struct {
	Service   service.Service
	Listeners []*socket.Socket // listening sockets; Run closes them

	MaxConns    int           // clients served at once, the others wait; 0: no limit
	IdleTimeout time.Duration // how long a connection may move no byte in either direction; 0: for ever
	KeepAlive   time.Duration // of a TCP connection's silence before the system asks whether the peer lives; 0: never
	Grace       time.Duration // after the context is done, for what is in flight to be finished

	// Worker makes the command of one worker of the processes mode: a server of at most maxConns clients (0: no limit)
	// on the listening sockets that it is given as descriptors 3 and up, in the order of Listeners. It ends as Run does
	// when it reads a line from its standard input, and at once at the end of that input. Called by any goroutine.
	Worker func(maxConns int) *exec.Cmd

	Log   *slog.Logger
	Quiet bool // who connects and disconnects is not logged

	drain     context.Context // done: no new clients, and those at hand are to be finished
	drainOnce sync.Once
	begin     func()        // makes drain done
	cutoff    time.Time     // when clients that are not finished are cut off; set before drain is done
	places    chan struct{} // one taken for each client, when there is a MaxConns
	freed     chan struct{} // holds a token after a client has gone
	clients   sync.WaitGroup
	present   atomic.Int64 // clients at hand, for the log
	served    atomic.Int64 // clients that have gone
	received  atomic.Int64 // bytes from these
	sent      atomic.Int64 // bytes to these
	scarcity  scarcity
}

// Stats are the figures of a Server since it began: those of its own process.
type Stats struct {
	Active   int64 // clients now
	Served   int64 // clients that have gone
	Received int64 // bytes from those that have gone
	Sent     int64 // bytes to those that have gone
}

// Stats returns the server's figures. Any goroutine may call it.
func (s *Server) Stats() Stats {
	return Stats{s.present.Load(), s.served.Load(), s.received.Load(), s.sent.Load()}
}

const (
	keepAliveProbes = 4 // unanswered, until a peer is taken for dead

	pieceSize   = 16 << 10               // bytes read, or drawn from a speech, in one go
	queueLimit  = 64 << 10               // bytes queued for one client, from which on nothing more is read from it
	quietPeriod = 100 * time.Millisecond // of a client's silence, after which a server that drains hangs up
	lingerLimit = 2 * time.Second        // for a client to end its side after it has been told everything
	admitLimit  = 1024                   // clients accepted from one listener in one turn
	retryPeriod = 250 * time.Millisecond // between attempts to accept when there are no descriptors
)

// Run serves until ctx is done. Then it accepts no more, answers what the clients at hand have sent until they fall
// silent, and returns nil when the last has gone, or at the end of Grace. An error is what stopped it before that.
func (s *Server) Run(ctx context.Context, mode Mode) error {
	s.drain, s.begin = context.WithCancel(context.Background())
	defer s.begin()
	stop := context.AfterFunc(ctx, s.beginDrain)
	defer stop()
	if s.MaxConns > 0 {
		s.places = make(chan struct{}, s.MaxConns)
	}
	s.freed = make(chan struct{}, 1)
	defer func() {
		for _, l := range s.Listeners {
			l.Close()
		}
	}()
	return mode.run(s)
}

func (s *Server) beginDrain() {
	s.drainOnce.Do(func() {
		s.cutoff = time.Now().Add(s.Grace)
		s.begin()
	})
}

func (s *Server) draining() bool { return s.drain.Err() != nil }
