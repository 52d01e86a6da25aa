package compare

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"time"
)

// A process is a server that was started here, with whatever it starts itself.
type process struct {
	cmd     *exec.Cmd
	address string
	gone    chan struct{} // closed when it has ended
	err     error         // how, after that

	output *os.File // what it and its children say
	said   tail
	silent chan struct{} // closed when all of them have ended
}

// lastWords is how long what a process said and how it ended may take to be known after it has ended.
const lastWords = 500 * time.Millisecond

// startServer starts a server on a free port, and waits until it listens.
func startServer(ctx context.Context, command func(port int) *exec.Cmd) (*process, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	p := &process{cmd: command(port), address: fmt.Sprintf("127.0.0.1:%d", port), gone: make(chan struct{}), silent: make(chan struct{})}
	// A pipe that Wait knew of would have it wait for all that the process has started, too.
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	p.cmd.Stdout, p.cmd.Stderr = write, write
	asGroup(p.cmd)
	started := make(chan error)
	go func() {
		// Linux ends the process when the thread that started it ends, not when this process does.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			p.err = p.cmd.Wait()
			close(p.gone)
		}
	}()
	err = <-started
	write.Close()
	if err != nil {
		read.Close()
		return nil, err
	}
	p.output = read
	go func() {
		io.Copy(&p.said, read)
		close(p.silent)
	}()
	enough := time.NewTimer(startWait)
	defer enough.Stop()
	for {
		conn, err := net.DialTimeout("tcp", p.address, startWait)
		if err == nil {
			conn.Close()
			return p, nil
		}
		select {
		case <-p.gone:
			p.stop()
			return nil, errors.Join(errors.New("it ended before it listened"), p.ended())
		case <-enough.C:
			p.stop()
			return nil, fmt.Errorf("it does not listen on %s after %v", p.address, startWait)
		case <-ctx.Done():
			p.stop()
			return nil, context.Cause(ctx)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// stop ends the process and all that it has started, in order if it does that within two seconds.
func (p *process) stop() {
	askGroup(p.cmd)
	isClosed(p.gone, 2*time.Second)
	killGroup(p.cmd)
	<-p.gone
	isClosed(p.silent, lastWords)
	p.output.Close()
	<-p.silent
}

// isClosed waits for a channel to be closed, but not for long, and tells whether it was.
func isClosed(c <-chan struct{}, patience time.Duration) bool {
	select {
	case <-c:
		return true
	case <-time.After(patience):
		return false
	}
}

// ended says how the process ended, if it has, and the last that it said.
func (p *process) ended() error {
	if !isClosed(p.gone, lastWords) {
		return nil
	}
	isClosed(p.silent, lastWords)
	how := "exit status 0"
	if p.err != nil {
		how = p.err.Error()
	}
	if said := p.said.String(); said != "" {
		how += ": " + said
	}
	return errors.New(how)
}

// A tail keeps the last line that was written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	t.text = t.text[max(0, len(t.text)-4096):]
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := strings.TrimSpace(string(t.text))
	return text[strings.LastIndexByte(text, '\n')+1:]
}
