package socket

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

func TestServerWithoutHostServesBothFamilies(t *testing.T) {
	l, a := listening(t, ":0", nil)
	if a.Family() == AF_INET {
		t.Skip("this system has no dual-stack sockets")
	}
	for _, host := range []string{"127.0.0.1", "[::1]"} {
		connectedTo(t, parsed(t, fmt.Sprintf("%s:%d", host, a.Port())))
		s, peer, err := l.Accept()
		noError(t, err)
		if peer.Family() != AF_INET6 {
			t.Error(peer)
		}
		s.Close()
	}
}

func TestServerOnOneFamilyLeavesTheOtherAlone(t *testing.T) {
	for tries := 1; ; tries++ {
		_, a := listening(t, "[::]:0", nil)
		refused := made(t, AF_INET, SOCK_STREAM).Connect(parsed(t, fmt.Sprintf("127.0.0.1:%d", a.Port())))
		other, err := CreateServer(fmt.Sprintf("0.0.0.0:%d", a.Port()), nil) // both can have the same port
		if errors.Is(err, syscall.EADDRINUSE) && tries < 10 {
			continue // another program has it, and may have answered
		}
		noError(t, err)
		other.Close()
		if !errors.Is(refused, syscall.ECONNREFUSED) {
			t.Error(refused)
		}
		break
	}

	_, dual := listening(t, "[::]:0", &ServerOptions{DualStack: true})
	connectedTo(t, parsed(t, fmt.Sprintf("127.0.0.1:%d", dual.Port())))
	if _, err := CreateServer("127.0.0.1:0", &ServerOptions{DualStack: true}); !errors.Is(err, syscall.EAFNOSUPPORT) {
		t.Error(err)
	}
}

func TestServerOnANameTakesItsAddress(t *testing.T) {
	_, a := listening(t, "localhost:0", nil)
	if !a.AddrPort().Addr().IsLoopback() {
		t.Error(a)
	}
	connectedTo(t, a)
}

func TestServerCanStartAgainAtOnce(t *testing.T) {
	l, to := listening(t, "127.0.0.1:0", nil)
	x := connectedTo(t, to)
	y := accepted(t, l)
	y.Close() // the server's end closes first and keeps the port in TIME_WAIT
	if _, err := x.Recv(make([]byte, 1)); err != io.EOF {
		t.Fatal(err)
	}
	x.Close()
	l.Close()
	listening(t, to.String(), nil)
}

func TestPortInUseSaysSo(t *testing.T) {
	_, to := listening(t, "127.0.0.1:0", nil)
	_, err := CreateServer(to.String(), nil)
	if !errors.Is(err, syscall.EADDRINUSE) || !strings.HasPrefix(err.Error(), "bind "+to.String()+": ") ||
		!strings.Contains(err.Error(), "stop its program, or choose another") {
		t.Error(err)
	}
}

func TestReusePortSharesAPort(t *testing.T) {
	a, to := listening(t, "127.0.0.1:0", &ServerOptions{ReusePort: true})
	b, _ := listening(t, to.String(), &ServerOptions{ReusePort: true})
	if _, err := CreateServer(to.String(), nil); !errors.Is(err, syscall.EADDRINUSE) {
		t.Error("without the option:", err)
	}
	if runtime.GOOS != "linux" && runtime.GOOS != "freebsd" {
		t.Skip("this system does not spread connections")
	}
	took := make(chan *Socket)
	for _, l := range []*Socket{a, b} {
		go func() {
			for {
				c, _, err := l.Accept()
				if err != nil {
					return
				}
				c.Close()
				took <- l
			}
		}()
	}
	for seen := map[*Socket]bool{}; len(seen) < 2; seen[<-took] = true {
		connectedTo(t, to)
	}
}

func TestSocketFileIsRemovedAtClose(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.sock")
	l, _ := listening(t, path, nil)
	if info, err := os.Lstat(path); err != nil || info.Mode()&os.ModeSocket == 0 {
		t.Fatal(info, err)
	}
	noError(t, l.Close())
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func TestStaleSocketFileIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.sock")
	dead := made(t, AF_UNIX, SOCK_STREAM)
	noError(t, dead.Bind(UnixAddr(path)))
	noError(t, dead.Close())
	if _, err := os.Lstat(path); err != nil {
		t.Fatal("no stale file:", err)
	}
	l, to := listening(t, path, nil)
	connectedTo(t, to)
	accepted(t, l)
}

func TestLiveSocketFileIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	l, to := listening(t, dir+"/stream", nil)
	_, full := listening(t, dir+"/full", &ServerOptions{Backlog: 1})
	for {
		s := made(t, AF_UNIX, SOCK_STREAM)
		s.SetBlocking(false)
		if s.Connect(full) != nil {
			break
		}
	}
	datagram := made(t, AF_UNIX, SOCK_DGRAM)
	noError(t, datagram.Bind(UnixAddr(dir+"/datagram")))
	for _, name := range []string{"stream", "full", "datagram"} {
		path := filepath.Join(dir, name)
		_, err := CreateServer(path, nil)
		if !errors.Is(err, syscall.EADDRINUSE) || !strings.HasPrefix(err.Error(), "bind "+path+": ") {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Lstat(path); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The probe that asked whether anyone listens is a connection like any other, and ends.
	probe := accepted(t, l)
	if _, err := probe.Recv(make([]byte, 1)); err != io.EOF {
		t.Error(err)
	}
	connectedTo(t, to)
}

func TestWhatIsNotASocketIsNeverRemoved(t *testing.T) {
	needUnix(t)
	dir := t.TempDir()
	noError(t, os.WriteFile(dir+"/file", []byte("precious"), 0o600))
	noError(t, os.Mkdir(dir+"/directory", 0o700))
	noError(t, os.Symlink(dir+"/nowhere", dir+"/link"))
	for _, name := range []string{"file", "directory", "link"} {
		_, err := CreateServer(dir+"/"+name, nil)
		if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), "not a socket") {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Lstat(dir + "/" + name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSuccessorsSocketFileIsLeftAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.sock")
	first, _ := listening(t, path, nil)
	noError(t, os.Remove(path))
	_, to := listening(t, path, nil)
	noError(t, first.Close())
	connectedTo(t, to)
}

func TestSocketFileStaysWithAnInheritor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.sock")
	l, to := listening(t, path, nil)
	d, err := l.Dup()
	noError(t, err)
	noError(t, d.Close())
	connectedTo(t, to)
	fd, err := l.Detach()
	noError(t, err)
	again, err := FromFD(fd)
	noError(t, err)
	defer again.Close()
	connectedTo(t, to)
}

// Of many servers that start on a stale file at once, one gets it, and is not robbed of it.
func TestOneOfManyServersGetsTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.sock")
	for range 20 {
		dead := made(t, AF_UNIX, SOCK_STREAM)
		noError(t, dead.Bind(UnixAddr(path)))
		dead.Close()
		servers := make(chan *Socket)
		for range 8 {
			go func() {
				s, err := CreateServer(path, nil)
				if err != nil && !errors.Is(err, syscall.EADDRINUSE) {
					t.Error(err)
				}
				servers <- s
			}()
		}
		var winners []*Socket
		for range 8 {
			if s := <-servers; s != nil {
				winners = append(winners, s)
			}
		}
		if len(winners) != 1 {
			t.Fatal(len(winners), "servers have the file")
		}
		connectedTo(t, UnixAddr(path))
		accepted(t, winners[0])
		winners[0].Close()
	}
}

func TestAbstractNameLeavesNoFile(t *testing.T) {
	if runtime.GOOS != "linux" {
		_, err := CreateServer("@switchboard", nil)
		if !errors.Is(err, syscall.EAFNOSUPPORT) && !errors.Is(err, errors.ErrUnsupported) {
			t.Error(err)
		}
		return
	}
	listening(t, "@"+strings.Repeat("x", maxPath), nil)
	l, to := listening(t, "@switchboard\x00test", nil)
	if to != UnixAddr("@switchboard\x00test") {
		t.Errorf("%q", to)
	}
	x := connectedTo(t, to)
	peer, err := x.PeerAddr()
	if err != nil || peer != to {
		t.Error(peer, err)
	}
	_, from, err := l.Accept()
	if err != nil || from != UnixAddr("") {
		t.Error(from, err)
	}
}

// What CreateServer does where SO_REUSEADDR would take a port from a server on all addresses.
func TestServerIsAloneAtItsPort(t *testing.T) {
	taken := func(err error) bool {
		return errors.Is(err, syscall.EADDRINUSE) || runtime.GOOS == "windows" && errors.Is(err, syscall.EACCES)
	}
	for _, c := range []struct{ there, bind string }{
		{"0.0.0.0", "127.0.0.1"}, {"127.0.0.1", "0.0.0.0"}, {"127.0.0.1", "127.0.0.1"}, {"[::]", "[::1]"}, {"[::1]", "[::]"},
	} {
		_, there := listening(t, c.there+":0", nil)
		a := parsed(t, fmt.Sprintf("%s:%d", c.bind, there.Port()))
		if err := made(t, a.Family(), SOCK_STREAM).bindAlone(a); !taken(err) {
			t.Errorf("%s beside %s: %v", c.bind, c.there, err)
		}
		if _, err := CreateServer(a.String(), nil); !taken(err) {
			t.Errorf("a server at %s beside %s: %v", c.bind, c.there, err)
		}
		if !answers(there) {
			t.Error(there, "does not answer")
		}
	}
	if !answers(blackHole(t, "127.0.0.1:0")) {
		t.Error("a server with a full backlog counts as none")
	}

	// Connections of an earlier server are in nobody's way.
	l, to := listening(t, "127.0.0.1:0", nil)
	x, y := connectedTo(t, to), accepted(t, l)
	noError(t, y.Close())
	if _, err := x.Recv(make([]byte, 1)); err != io.EOF {
		t.Fatal(err)
	}
	noError(t, x.Close())
	noError(t, l.Close())
	if err := made(t, AF_INET, SOCK_STREAM).Bind(to); !errors.Is(err, syscall.EADDRINUSE) {
		t.Error("there is no such connection:", err)
	}
	s := made(t, AF_INET, SOCK_STREAM)
	noError(t, s.bindAlone(to))
	noError(t, s.Listen(1))
	connectedTo(t, to)
}
