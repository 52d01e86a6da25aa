//go:build unix

package socket

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func init() {
	children["broken pipe"] = brokenPipe
	children["descriptors"] = descriptors
	children["inherit"] = inherit
	children["privileged port"] = privilegedPort
}

// Go lets SIGPIPE kill a process when it comes of writing to standard output.
func TestBrokenPipeKillsNobody(t *testing.T) {
	x, y := unixPair(t, SOCK_STREAM)
	out, err := x.Detach()
	noError(t, err)
	f := os.NewFile(uintptr(out), "stdout")
	defer f.Close()
	y.Close()
	cmd := child("broken pipe")
	cmd.Stdout = f
	noError(t, cmd.Run())
}

func brokenPipe() error {
	s, err := FromFD(1)
	if err != nil {
		return err
	}
	file, err := os.Open(os.Args[0])
	if err != nil {
		return err
	}
	p := []byte("x")
	for name, call := range map[string]func() error{
		"send":     func() error { _, err := s.Send(p); return err },
		"send all": func() error { _, err := s.SendAll(p); return err },
		"write":    func() error { _, err := s.Write(p); return err },
		"sendmsg":  func() error { _, err := s.SendMsg([][]byte{p}, nil, Addr{}, 0); return err },
		"sendfile": func() error { _, err := s.SendFile(file, 0, -1); return err },
	} {
		if err := call(); !errors.Is(err, syscall.EPIPE) {
			return fmt.Errorf("%s: %v", name, err)
		}
	}
	return nil
}

func TestNoDescriptorsLeftSaysSoAndPasses(t *testing.T) {
	noError(t, child("descriptors").Run())
}

func descriptors() error {
	limit := syscall.Rlimit{Cur: 64, Max: 64}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	l, err := CreateServer("127.0.0.1:0", nil)
	if err != nil {
		return err
	}
	to, err := l.LocalAddr()
	if err != nil {
		return err
	}
	x, err := New(AF_INET, SOCK_STREAM, 0)
	if err == nil {
		err = x.Connect(to)
	}
	if err != nil {
		return err
	}
	var open []*Socket
	for err == nil {
		var s *Socket
		if s, err = New(AF_INET, SOCK_STREAM, 0); err == nil {
			open = append(open, s)
		}
	}
	spare := open[0]
	calls := map[string]func() error{
		"socket":     func() error { _, err := New(AF_INET, SOCK_STREAM, 0); return err },
		"socketpair": func() error { _, _, err := Pair(AF_UNIX, SOCK_STREAM, 0); return err },
		"accept":     func() error { _, _, err := l.Accept(); return err },
		"dup":        func() error { _, err := x.Dup(); return err },
		"conn":       func() error { _, err := x.Conn(); return err },
	}
	for name, call := range calls {
		err := call()
		if !errors.Is(err, syscall.EMFILE) || !strings.HasPrefix(err.Error(), name) ||
			!strings.Contains(err.Error(), "ulimit -n") {
			return fmt.Errorf("%s: %v", name, err)
		}
	}
	// Nobody has waited yet, and can although there is no descriptor for the runtime's poller any more.
	if err := x.SetTimeout(time.Millisecond); err != nil {
		return err
	}
	if _, err := x.Recv(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("a wait without descriptors: %v", err)
	}
	// The connection waits still.
	spare.Close()
	y, _, err := l.Accept()
	if err != nil {
		return err
	}
	if _, err := x.SendAll([]byte("hello")); err != nil {
		return err
	}
	p := make([]byte, 10)
	if n, err := y.Recv(p); err != nil || string(p[:n]) != "hello" {
		return fmt.Errorf("%q, %v", p[:n], err)
	}
	return nil
}

func TestChildInheritsOnlyWhatItMay(t *testing.T) {
	x, y := tcpPair(t)
	run := func() error {
		cmd := child("inherit")
		cmd.Env = append(cmd.Env, "FD="+strconv.Itoa(x.FD()))
		cmd.Stderr = nil
		return cmd.Run()
	}
	exit := new(exec.ExitError)
	if err := run(); !errors.As(err, &exit) {
		t.Error("a child has the descriptor:", err)
	}
	noError(t, x.SetInheritable(true))
	noError(t, run())
	p := make([]byte, 10)
	if n, err := y.Recv(p); err != nil || string(p[:n]) != "child" {
		t.Errorf("%q, %v", p[:n], err)
	}
}

func inherit() error {
	fd, err := strconv.Atoi(os.Getenv("FD"))
	if err != nil {
		return err
	}
	s, err := FromFD(fd)
	if err != nil {
		return err
	}
	if s.Family() != AF_INET || s.Type() != SOCK_STREAM {
		return fmt.Errorf("family %d, type %d", s.Family(), s.Type())
	}
	_, err = s.SendAll([]byte("child"))
	return err
}

func TestLowPortSaysWhoMay(t *testing.T) {
	if os.Getuid() != 0 {
		noError(t, privilegedPort())
		return
	}
	// As root the test becomes somebody else first, and the test program must be where anybody may run it.
	dir, err := os.MkdirTemp("/tmp", "socket-test")
	noError(t, err)
	defer os.RemoveAll(dir)
	program, err := os.ReadFile(os.Args[0])
	noError(t, err)
	noError(t, os.Chmod(dir, 0o755))
	noError(t, os.WriteFile(dir+"/test", program, 0o755))
	cmd := child("privileged port")
	cmd.Path, cmd.Dir = dir+"/test", dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	var out bytes.Buffer
	cmd.Stdout = &out
	noError(t, cmd.Run())
	if out.Len() > 0 {
		t.Skip(out.String())
	}
}

func privilegedPort() error {
	if text, err := os.ReadFile("/proc/sys/net/ipv4/ip_unprivileged_port_start"); err == nil {
		if start, _ := strconv.Atoi(strings.TrimSpace(string(text))); start <= 1 {
			fmt.Print("this system lets anybody have low ports")
			return nil
		}
	}
	_, err := CreateServer("127.0.0.1:1", nil)
	if !errors.Is(err, os.ErrPermission) || err.Error() !=
		"bind 127.0.0.1:1: permission denied (ports below 1024 need root"+lowPortCapability+")" {
		return fmt.Errorf("got: %v", err)
	}
	return nil
}

func TestFromFDFindsOutWhatItIs(t *testing.T) {
	for _, c := range []struct{ family, typ int }{
		{AF_INET, SOCK_STREAM}, {AF_INET6, SOCK_DGRAM}, {AF_UNIX, SOCK_STREAM}, {AF_UNIX, SOCK_DGRAM},
	} {
		fd, err := unix.Socket(c.family, c.typ, 0)
		noError(t, err)
		s, err := FromFD(fd)
		noError(t, err)
		if runtime.GOOS == "linux" && s.Proto() == 0 && c.family != AF_UNIX {
			t.Errorf("%+v: no protocol", c)
		}
		if s.Family() != c.family || s.Type() != c.typ || s.FD() != fd || s.Timeout() >= 0 {
			t.Errorf("%+v: family %d, type %d", c, s.Family(), s.Type())
		}
		if on, err := s.Inheritable(); on || err != nil {
			t.Error("inheritable:", on, err)
		}
		if !nonblocking(t, fd) {
			t.Error("the descriptor blocks")
		}
		noError(t, s.Close())
	}
	f, err := os.Open(os.DevNull)
	noError(t, err)
	defer f.Close()
	if _, err := FromFD(int(f.Fd())); !errors.Is(err, syscall.ENOTSOCK) {
		t.Error("a file:", err)
	}
	if _, err := f.Stat(); err != nil {
		t.Error("FromFD failed and closed it:", err)
	}
}

func nonblocking(t *testing.T, fd int) bool {
	t.Helper()
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	noError(t, err)
	return flags&unix.O_NONBLOCK != 0
}

func TestDetachGivesTheDescriptorAway(t *testing.T) {
	for _, parked := range []bool{false, true} {
		for _, blocking := range []bool{false, true} {
			x, y := unixPair(t, SOCK_STREAM)
			old := x.FD()
			var waiting <-chan error
			if parked {
				waiting = in(func() error { _, err := x.Recv(make([]byte, 1)); return err })
				waitParked(t, "Recv", 1)
			}
			x.SetBlocking(blocking)
			noError(t, x.SetInheritable(true))
			fd, err := x.Detach()
			noError(t, err)
			if parked {
				if err := <-waiting; !errors.Is(err, net.ErrClosed) {
					t.Error("who waited:", err)
				}
			} else if fd != old {
				t.Error("a new number")
			}
			if err := x.Close(); !errors.Is(err, net.ErrClosed) || x.FD() != -1 {
				t.Error("the Socket is open still:", err)
			}
			if nonblocking(t, fd) == blocking {
				t.Error("the descriptor is in the wrong mode")
			}
			again, err := FromFD(fd)
			noError(t, err)
			again.Send([]byte("alive"))
			again.Close()
			if text, err := io.ReadAll(y); string(text) != "alive" || err != nil {
				t.Errorf("%q, %v", text, err)
			}
		}
	}
}

func TestDetachKeepsInheritable(t *testing.T) {
	for _, parked := range []bool{false, true} {
		for _, on := range []bool{false, true} {
			x, _ := unixPair(t, SOCK_STREAM)
			if parked {
				noError(t, x.SetDeadline(time.Time{}))
			}
			noError(t, x.SetInheritable(on))
			fd, err := x.Detach()
			noError(t, err)
			if got, err := sysInheritable(fd); got != on || err != nil {
				t.Error(got, err)
			}
			unix.Close(fd)
		}
	}
}
