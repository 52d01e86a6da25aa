package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/internal/handler"
	"github.com/switchboard-go/switchboard/internal/proxy"
	"github.com/switchboard-go/switchboard/internal/service"
	"github.com/switchboard-go/switchboard/socket"
)

// A server is a process that is measured.
type server struct {
	cmd     *exec.Cmd
	leash   io.Closer // its standard input: it ends with it
	address string    // where it listens
	guests  []io.Closer
}

// start runs this program again as a server, "echo" or "tls" with a number of loops, "goroutines", "web", "webtls", "nethttp", or
// "proxy" to an address, or as the client "flood" or "shake" of an address. A server over TLS or HTTP has one processor.
func start(args ...string) (*server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	command := append([]string{self, "serve"}, args...)
	if args[0] == "flood" || args[0] == "shake" {
		command = append([]string{"nice", "-n", "19"}, command...)
	}
	s := &server{cmd: exec.Command(command[0], command[1:]...)}
	s.cmd.Stderr = os.Stderr
	switch args[0] {
	case "tls", "goroutines", "web", "webtls", "nethttp":
		s.cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	}
	if s.leash, err = s.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		s.stop()
		return nil, errors.New("it did not start")
	}
	s.address = strings.TrimSpace(line)
	return s, nil
}

func (s *server) stop() {
	for _, c := range s.guests {
		c.Close()
	}
	s.leash.Close()
	s.cmd.Wait()
}

// peak returns the most memory that the server has occupied so far, in bytes (proc_pid_status(5), VmHWM).
func (s *server) peak() (int, error) { return s.status("VmHWM:") }

// status returns a number of bytes that the system tells of the server.
func (s *server) status(name string) (int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, after, ok := strings.Cut(string(text), name)
	fields := strings.Fields(after)
	if !ok || len(fields) == 0 {
		return 0, errors.New("the system does not tell how much memory a process occupies")
	}
	kilobytes, err := strconv.Atoi(fields[0])
	return kilobytes << 10, err
}

// serve is the server's side: it prints where it listens, and serves until its standard input ends.
func serve(args []string) error {
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	s := &switchboard.Server{}
	switch args[0] {
	case "echo":
		s.Accept = handler.Accept(service.Echo)
		s.Loops, _ = strconv.Atoi(args[1])
	case "proxy":
		between, err := proxy.New([]proxy.Target{{Address: args[1], Weight: 1}}, proxy.RoundRobin, slog.Default())
		if err != nil {
			return err
		}
		s.Accept = between.Accept
	case "tls":
		var err error
		if s.TLSConfig, err = selfSigned(); err != nil {
			return err
		}
		s.Accept = handler.Accept(service.Echo)
		s.Loops, _ = strconv.Atoi(args[1])
	case "held":
		s.Engine, s.Loops, s.HandshakeTimeout = args[2], 1, -1
		s.Accept = handler.Accept(service.Echo)
		if args[1] == "lines" {
			lines := handler.Lines(64 << 10)
			s.Accept = func(*switchboard.Conn) (switchboard.Handler, error) { return lines, nil }
		}
		if args[3] == "tls" {
			var err error
			if s.TLSConfig, err = selfSigned(); err != nil {
				return err
			}
		}
	case "goroutines":
		return serveGoroutines()
	case "web", "webtls", "nethttp":
		return serveHTTP(args[0])
	case "flood":
		return pour(args[1])
	case "shake":
		return shake(args[1])
	}
	l, err := socket.CreateServer("127.0.0.1:0", nil)
	if err != nil {
		return err
	}
	at, err := l.LocalAddr()
	if err != nil {
		return err
	}
	fmt.Println(at)
	return s.ServeSocket(l)
}
