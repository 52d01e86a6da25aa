package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/internal/handover"
	"github.com/switchboard-go/switchboard/internal/systemd"
)

// canRestart tells whether connections can be handed over here.
const canRestart = true

// handoverVariable names the descriptor over which this process takes over what another one serves.
const handoverVariable = "SWITCHBOARD_HANDOVER_FD"

// handoverTime is how long the new process may take to be there, and to take over.
const handoverTime = time.Minute

// A takeover is a Server's Takeover.
type takeover = func(ctx context.Context, from *net.UnixConn) (switchboard.Handed, error)

// A predecessor is the process that this one takes over from. Nil: there is none.
type predecessor struct {
	conn   *net.UnixConn
	pid    int
	files  []socketFile
	listen []string // what --listen is there; nil: an older version, which does not say
}

// listenVariable has what --listen is, as JSON.
const listenVariable = "SWITCHBOARD_LISTEN"

// checkListen makes sure that the listeners that come over are those that this process is to have.
func (p *predecessor) checkListen(listen []string) error {
	if p.listen == nil || slices.Equal(slices.Sorted(slices.Values(p.listen)), slices.Sorted(slices.Values(listen))) {
		return nil
	}
	err := fmt.Errorf("--listen is %s, and the process to take over from listens on %s: a restart hands over the listeners that there are. "+
		"To listen elsewhere, end the server and start it again", strings.Join(listen, ", "), strings.Join(p.listen, ", "))
	link := handover.NewLink(p.conn)
	link.SetDeadline(time.Now().Add(handoverTime))
	if _, hello := link.Receive(handover.Hello); hello == nil { // the log of that process is the one to say it
		link.Send(handover.Refused, []byte(err.Error()), nil)
	}
	return err
}

// filesVariable has the files of Unix sockets that are handed over, as JSON.
const filesVariable = "SWITCHBOARD_SOCKET_FILES"

// A socketFile is the file of a Unix socket that the first of the processes made which hand it on: the last one removes it.
type socketFile struct {
	Path     string
	Dev, Ino uint64
}

// socketFiles returns the files at which this process has just begun to listen.
func socketFiles(paths []string) (all []socketFile) {
	for _, path := range paths {
		path, err := filepath.Abs(path)
		if err != nil {
			continue
		}
		f := socketFile{Path: path}
		if f.identify() {
			all = append(all, f)
		}
	}
	return all
}

// identify finds out which file is at the path.
func (f *socketFile) identify() bool {
	var st unix.Stat_t
	if unix.Lstat(f.Path, &st) != nil {
		return false
	}
	f.Dev, f.Ino = st.Dev, st.Ino
	return true
}

// remove removes the file, unless it is another's by now. The socket must be open still: another file could have its number later.
func (f *socketFile) remove() {
	if now := (socketFile{Path: f.Path}); now.identify() && now == *f {
		os.Remove(f.Path)
	}
}

// hasPredecessor tells whether findPredecessor will return a process.
func hasPredecessor() bool { return os.Getenv(handoverVariable) != "" }

// findPredecessor returns the process that started this one to take over from it.
func findPredecessor() (*predecessor, error) {
	text := os.Getenv(handoverVariable)
	if text == "" {
		return nil, nil
	}
	os.Unsetenv(handoverVariable)
	var files []socketFile
	json.Unmarshal([]byte(os.Getenv(filesVariable)), &files) // a process of an older version says nothing of them
	os.Unsetenv(filesVariable)
	var listen []string
	json.Unmarshal([]byte(os.Getenv(listenVariable)), &listen)
	os.Unsetenv(listenVariable)
	fd, err := strconv.Atoi(text)
	if err != nil || fd < 3 {
		return nil, fmt.Errorf("%s=%s: it names no descriptor", handoverVariable, text)
	}
	unix.CloseOnExec(fd)
	peer, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED) // while it lives it is the parent as well, but not for long
	if err != nil {
		return nil, fmt.Errorf("%s=%s: it names no Unix socket: %w", handoverVariable, text, os.NewSyscallError("getsockopt", err))
	}
	conn, err := unixConn(fd)
	if err != nil {
		return nil, fmt.Errorf("%s=%s: %w", handoverVariable, text, err)
	}
	return &predecessor{conn, int(peer.Pid), files, listen}, nil
}

// unixConn makes a net.UnixConn of a descriptor, and closes that.
func unixConn(fd int) (*net.UnixConn, error) {
	f := os.NewFile(uintptr(fd), "handover")
	defer f.Close()
	conn, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	u, ok := conn.(*net.UnixConn)
	if !ok {
		conn.Close()
		return nil, errors.New("it is no Unix socket")
	}
	return u, nil
}

// takeOver takes over what the predecessor serves.
func (p *predecessor) takeOver(log *slog.Logger, take takeover) error {
	defer p.conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), handoverTime)
	defer cancel()
	handed, err := take(ctx, p.conn)
	if err != nil {
		return err
	}
	log.Info("took over from another process", "pid", p.pid, "listeners", handed.Listeners, "connections", handed.Conns)
	return nil
}

// heedRestart has SIGUSR2 start the program again and hand everything over to it. What is returned is closed when that has come
// about; from then on SIGUSR2 is ignored, which "switchboard restart" knows. stop ends it.
func heedRestart(log *slog.Logger, server *switchboard.Server, manager *systemd.Manager, h ownedFiles) (replaced <-chan struct{}, stop func()) {
	program, err := os.Executable() // now: the file may be replaced by a new version, which is what is to be started
	signals, done, over := restartSignals, make(chan struct{}), make(chan struct{})
	signal.Notify(signals, syscall.SIGUSR2)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-signals:
			case <-over:
				return
			}
			if isReplaced(done) {
				log.Warn("another process has taken over already, which is the one to restart: this one serves what stayed")
				continue
			}
			if err == nil {
				err := restart(ctx, log, server, manager, program, h)
				if err == nil {
					signal.Ignore(syscall.SIGUSR2)
					close(done)
					continue
				}
				if ctx.Err() != nil { // the server has ended meanwhile
					return
				}
				if errors.Is(err, switchboard.ErrServerClosed) {
					log.Warn("the restart is given up: this process is shutting down", "error", err)
					continue
				}
				if errors.Is(err, syscall.EMFILE) {
					err = fmt.Errorf("%w: there are too few descriptors to start another process: raise the limit with ulimit -n", err)
				}
				log.Error("the restart failed, and this process goes on serving", "error", err)
			} else {
				log.Error("the restart failed, and this process goes on serving", "error", err)
			}
		}
	}()
	return done, func() {
		signal.Stop(signals)
		close(over)
		cancel() // a process that is being started is not left behind
		<-ended
	}
}

func isReplaced(done chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// restart starts the program and hands everything over to it. If that fails, the new process is ended.
func restart(ctx context.Context, log *slog.Logger, server *switchboard.Server, manager *systemd.Manager, program string, h ownedFiles) error {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socketpair", err)
	}
	theirs := os.NewFile(uintptr(fds[1]), "handover")
	conn, err := unixConn(fds[0])
	if err != nil {
		theirs.Close()
		return err
	}
	defer conn.Close()
	next := exec.Command(program, os.Args[1:]...)
	next.Args[0] = os.Args[0]
	next.Stdout, next.Stderr = os.Stdout, os.Stderr
	next.ExtraFiles = []*os.File{theirs}
	next.Env = append(append(os.Environ(), manager.Environ()...), handoverVariable+"=3")
	for name, value := range map[string]any{filesVariable: h.files, listenVariable: h.listen} {
		if list, err := json.Marshal(value); err == nil {
			next.Env = append(next.Env, name+"="+string(list))
		}
	}
	err = next.Start()
	theirs.Close()
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- next.Wait() }()
	log.Info("restarting", "program", program, "pid", next.Process.Pid)
	ctx, cancel := context.WithTimeout(ctx, handoverTime)
	defer cancel()
	handed, err := server.Handover(ctx, conn)
	if err != nil {
		return endedBy(err, next, ended)
	}
	if err := manager.Resign(next.Process.Pid); err != nil {
		log.Warn("the service manager does not hear of the new process", "error", err)
	}
	if handed.Why != "" {
		log.Warn("the new process has refused connections", "reason", handed.Why)
	}
	log.Info("handed over", "pid", next.Process.Pid, "listeners", handed.Listeners, "connections", handed.Conns,
		"stayed", handed.Stayed, "still", handed.Still.Round(time.Microsecond))
	return nil
}

// endedBy ends the process that should have taken over, and tells more of why it has not than the socket to it can.
func endedBy(err error, next *exec.Cmd, ended <-chan error) error {
	hungUp := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
	if hungUp {
		select { // a process that ends closes its socket first
		case <-ended:
			return fmt.Errorf("the new process has ended before it took over (%v): if it said why, that is in the log above", next.ProcessState)
		case <-time.After(time.Second):
		}
	}
	next.Process.Kill()
	<-ended
	switch {
	case hungUp:
		return fmt.Errorf("the new process has hung up, and was killed: is %s still this program? (%w)", next.Path, err)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("the new process has not taken over in time, and was killed: is %s still this program? (%w)", next.Path, err)
	}
	return err
}

// checkRestartable tells why a process cannot be told to restart.
func checkRestartable(pid int) error {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return fmt.Errorf("there is no process %d", pid)
	}
	args, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return err
	}
	if hasSignal(string(status), "SigIgn:", syscall.SIGUSR2) {
		if next := successor(args); next > 0 {
			return fmt.Errorf("process %d has been replaced by %d, which is the one to restart", pid, next)
		}
		return fmt.Errorf("process %d does not restart: another one has replaced it, or its service or mode cannot be handed over", pid)
	}
	// What a process is called matters as well: a runtime that handles every signal shows nothing by that.
	if _, rest, _ := strings.Cut(string(args), "\x00"); !strings.HasPrefix(rest, "serve\x00") || !hasSignal(string(status), "SigCgt:", syscall.SIGUSR2) { // it would end it
		return fmt.Errorf("process %d does not heed SIGUSR2: it is no switchboard that serves in mode loop", pid)
	}
	return nil
}

// successor returns the process that was started with the same arguments as another one, and restarts; 0 if there is not just one.
func successor(args []byte) (pid int) {
	all, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range all {
		other, err := os.ReadFile(dir + "/cmdline")
		if err != nil || !bytes.Equal(other, args) {
			continue
		}
		status, err := os.ReadFile(dir + "/status")
		if err != nil || !hasSignal(string(status), "SigCgt:", syscall.SIGUSR2) {
			continue
		}
		if pid > 0 {
			return 0
		}
		pid, _ = strconv.Atoi(filepath.Base(dir))
	}
	return pid
}
