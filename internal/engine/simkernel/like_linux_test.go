package simkernel

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/switchboard-go/switchboard/internal/engine"
	"github.com/switchboard-go/switchboard/internal/rawio"
)

// TestLikeLinux does the same to both ends of a connection on this kernel and on the simulated one, and compares what each
// says after each step.
func TestLikeLinux(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			var real pairMaker = &realPairs{t: t, unix: network == "unix"}
			for seed := range uint64(1500) {
				rng := rand.New(rand.NewPCG(seed, 0))
				steps := make([]step, 1+rng.IntN(9))
				for i := range steps {
					steps[i] = step{rng.IntN(2), stepNames[rng.IntN(len(stepNames))]}
				}
				want := play(real, engine.System, steps)
				k := New(seed)
				k.Faults = Faults{}
				got := play(&simulatedPairs{k: k, unix: network == "unix"}, k, steps)
				if !slices.Equal(want, got) {
					t.Fatalf("seed %d, %v:\nthis kernel\n\t%s\nsimulated\n\t%s", seed, steps, strings.Join(want, "\n\t"), strings.Join(got, "\n\t"))
				}
			}
		})
	}
}

var stepNames = []string{"send", "send", "recv", "recv", "shutdown", "close", "reset"}

type step struct {
	end int
	do  string
}

// play returns a line for each step and end.
func play(make pairMaker, k engine.Kernel, steps []step) (said []string) {
	pair := make.pair()
	defer func() {
		for _, fd := range pair {
			if fd >= 0 {
				k.Close(fd)
			}
		}
	}()
	for _, s := range steps {
		fd := pair[s.end]
		if fd < 0 {
			continue
		}
		line := fmt.Sprintf("%s at %d: ", s.do, s.end)
		switch s.do {
		case "send":
			n, errno := k.Send(fd, []byte("seven b"))
			line += fmt.Sprint(n*boolInt(errno == 0), errno)
		case "recv":
			var p [4]byte
			n, errno := k.Recv(fd, p[:])
			line += fmt.Sprint(n*boolInt(errno == 0), errno)
		case "shutdown":
			line += fmt.Sprint(k.ShutdownWrite(fd))
		case "reset":
			k.Reset(fd)
			fallthrough
		case "close":
			k.Close(fd)
			pair[s.end] = -1
		}
		make.settle()
		for i, fd := range pair {
			if fd >= 0 {
				line += fmt.Sprintf("; %d polls %#x", i, make.poll(fd))
			}
		}
		said = append(said, line)
	}
	for i, fd := range pair {
		if fd >= 0 {
			said = append(said, fmt.Sprintf("error of %d: %v", i, k.SocketError(fd)))
		}
	}
	return said
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

type pairMaker interface {
	pair() [2]int
	poll(fd int) uint32
	settle()
}

type realPairs struct {
	t    *testing.T
	unix bool
}

func (r *realPairs) pair() (fds [2]int) {
	if r.unix {
		p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			r.t.Fatal(err)
		}
		return p
	}
	ln, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		r.t.Fatal(err)
	}
	defer unix.Close(ln)
	sa := &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}
	if err := unix.Bind(ln, sa); err != nil {
		r.t.Fatal(err)
	}
	if err := unix.Listen(ln, 1); err != nil {
		r.t.Fatal(err)
	}
	at, err := unix.Getsockname(ln)
	if err != nil {
		r.t.Fatal(err)
	}
	if fds[0], err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
		r.t.Fatal(err)
	}
	if err := unix.Connect(fds[0], at); err != nil {
		r.t.Fatal(err)
	}
	if fds[1], _, err = unix.Accept4(ln, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC); err != nil {
		r.t.Fatal(err)
	}
	if err := unix.SetNonblock(fds[0], true); err != nil {
		r.t.Fatal(err)
	}
	rawio.NoDelay(fds[0])
	rawio.NoDelay(fds[1])
	return fds
}

const everything = unix.POLLIN | unix.POLLOUT | unix.POLLRDHUP

func (r *realPairs) poll(fd int) uint32 {
	p := []unix.PollFd{{Fd: int32(fd), Events: everything}}
	unix.Poll(p, 0)
	return uint32(p[0].Revents)
}

// settle waits for nothing: over loopback what was sent is there when the call returns, but for acknowledgements.
func (r *realPairs) settle() {}

type simulatedPairs struct {
	k    *Kernel
	unix bool
}

func (s *simulatedPairs) pair() (fds [2]int) {
	k := s.k
	address := netip.MustParseAddrPort("127.0.0.1:7")
	family, ln := rawio.INET, 0
	if s.unix {
		family, ln = rawio.UNIX, k.ListenUnix("path", 1)
	} else {
		ln = k.Listen(address, 1)
	}
	fds[0], _ = k.Socket(family)
	if s.unix {
		k.ConnectUnix(fds[0], "path")
	} else {
		k.ConnectInet(fds[0], address, 0)
	}
	s.settle()
	var errno syscall.Errno
	if fds[1], _, errno = k.Accept(ln); errno != 0 {
		panic(errno)
	}
	for _, fd := range fds {
		sock := k.files[fd].object.(*sock)
		sock.room, sock.window = 64<<10, 64<<10
	}
	k.Close(ln)
	return fds
}

func (s *simulatedPairs) poll(fd int) uint32 {
	m := s.k.files[fd].object.poll()
	return m & (everything | pollAlways)
}

func (s *simulatedPairs) settle() {
	s.k.mu.Lock()
	defer s.k.mu.Unlock()
	for len(s.k.events) > 0 {
		s.k.advance(s.k.now + time.Second)
	}
}
