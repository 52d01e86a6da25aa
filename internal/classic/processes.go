package classic

import (
	"context"
	"errors"
	"io"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/switchboard-go/switchboard/socket"
)

const (
	steadyLife    = time.Second            // a worker that lived as long is replaced at once
	shortestDelay = 100 * time.Millisecond // before the replacement of one that did not
	longestDelay  = 5 * time.Second
	lastWords     = time.Second // for a worker to end after the grace period
)

// The processes server accepts nobody itself. It starts a worker process for each processor; they inherit the listening
// sockets and all wait in accept, and the kernel gives each connection to one of them. A worker that dies takes its own
// clients with it, and is replaced.
func (s *Server) processes() error {
	var files []*os.File // of the listening sockets
	closeAll := func() {
		for i, f := range files {
			f.Close()
			s.Listeners[i].Close()
		}
	}
	defer closeAll()
	for _, l := range s.Listeners {
		f, err := inheritable(l)
		if err != nil {
			return err
		}
		files = append(files, f)
	}
	defer context.AfterFunc(s.drain, closeAll)() // or connections would still wait there, to be reset in the end
	var workers sync.WaitGroup
	for _, share := range shares(s.MaxConns, runtime.GOMAXPROCS(0)) {
		workers.Go(func() { s.keepWorker(share, files) })
	}
	workers.Wait()
	return nil
}

// keepWorker has a worker at all times: at once after one that lived for a while, else with more and more patience.
func (s *Server) keepWorker(share int, files []*os.File) {
	for delay := shortestDelay; ; delay = min(2*delay, longestDelay) {
		started := time.Now()
		pid, err := s.work(share, files)
		if s.draining() {
			return
		}
		var pause time.Duration
		if time.Since(started) >= steadyLife {
			delay = shortestDelay / 2
		} else {
			pause = delay
		}
		s.Log.Warn("worker ended, starting another", "worker", pid, "reason", err, "after", pause)
		select {
		case <-time.After(pause):
		case <-s.drain.Done():
			return
		}
	}
}

// work runs one worker until it ends. Its standard input is the leash: a line tells it to drain, and the end of the
// input, that this process is no more.
func (s *Server) work(share int, files []*os.File) (pid int, err error) {
	worker := s.Worker(share)
	worker.ExtraFiles = files
	worker.Stderr = os.Stderr
	leash, err := worker.StdinPipe()
	if err != nil {
		return 0, err
	}
	defer leash.Close()
	if err := worker.Start(); err != nil {
		return 0, err
	}
	s.Log.Info("worker started", "worker", worker.Process.Pid)
	ended := make(chan struct{})
	defer close(ended)
	defer context.AfterFunc(s.drain, func() {
		io.WriteString(leash, "drain\n")
		select {
		case <-ended:
		case <-time.After(time.Until(s.cutoff) + lastWords):
			worker.Process.Kill()
		}
	})()
	if err = worker.Wait(); err == nil {
		err = errors.New("it drained")
	}
	return worker.Process.Pid, err
}

// inheritable duplicates a listening socket as a file. It stays non-blocking: that is a property of the socket, which
// the workers share.
func inheritable(l *socket.Socket) (*os.File, error) {
	if err := l.SetBlocking(false); err != nil {
		return nil, err
	}
	twin, err := l.Dup()
	if err != nil {
		return nil, err
	}
	fd, err := twin.Detach()
	if err != nil {
		twin.Close()
		return nil, err
	}
	return os.NewFile(uintptr(fd), "listener"), nil
}

// shares divides a number of clients among workers; 0 is without limit. Nobody gets none, so there can be fewer shares
// than workers.
func shares(clients, workers int) []int {
	if clients > 0 {
		workers = min(workers, clients)
	}
	each := make([]int, workers)
	for i := range each {
		each[i] = (clients + i) / workers
	}
	return each
}
