package scenarios

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/internal/testsocket"
	"golang.org/x/sys/unix"
)

func init() { children["takeover"] = takeOverAsChild }

// takeOverAsChild takes over what comes over descriptor 3, and serves it until standard input ends.
func takeOverAsChild() {
	f := os.NewFile(3, "handover")
	conn, err := net.FileConn(f)
	f.Close()
	s := &switchboard.Server{Engine: os.Getenv(engineVariable), Loops: 2, Accept: everyone(theMovingEcho), Moved: movedEcho,
		Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	if err == nil {
		_, err = s.Takeover(context.Background(), conn.(*net.UnixConn))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Stdin.Read(make([]byte, 1))
	os.Exit(0)
}

// A successor is a process that takes over.
type successor struct {
	cmd    *exec.Cmd
	link   *net.UnixConn // to it
	killed sync.Once
}

func startSuccessor(t *testing.T, engine string) *successor {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	theirs, ours := os.NewFile(uintptr(fds[1]), "theirs"), os.NewFile(uintptr(fds[0]), "ours")
	defer theirs.Close()
	defer ours.Close()
	link, err := net.FileConn(ours)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"=takeover", engineVariable+"="+engine, "GORACE=atexit_sleep_ms=0")
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.Stderr = t.Output()
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s := &successor{cmd: cmd, link: link.(*net.UnixConn)}
	t.Cleanup(s.kill)
	return s
}

// kill ends the process, as kill -9 does, and returns when it is gone.
func (s *successor) kill() {
	s.killed.Do(func() {
		s.cmd.Process.Kill()
		s.cmd.Wait()
		s.link.Close()
	})
}

// relay passes on what one end says to the other, with its descriptors, up to so many bytes. It reads headers and payloads one by
// one, so that descriptors stay with the byte that they came with.
func relay(t *testing.T, from, to *net.UnixConn, most int) {
	p, room := make([]byte, 1<<16), make([]byte, 1<<12)
	var head []byte
	payload := 0 // bytes that are still to come
	for most > 0 {
		next := payload
		if next == 0 {
			next = 8 - len(head)
		}
		n, rights, _, _, err := from.ReadMsgUnix(p[:min(len(p), most, next)], room)
		if err != nil || n == 0 {
			return
		}
		most -= n
		if payload > 0 {
			payload -= n
		} else if head = append(head, p[:n]...); len(head) == 8 {
			payload, head = int(binary.LittleEndian.Uint32(head[4:])), head[:0]
		}
		var descriptors []int
		if rights > 0 {
			messages, err := syscall.ParseSocketControlMessage(room[:rights])
			if err != nil {
				t.Error(err)
				return
			}
			for i := range messages {
				list, err := syscall.ParseUnixRights(&messages[i])
				if err != nil {
					t.Error(err)
				}
				descriptors = append(descriptors, list...)
			}
		}
		var oob []byte
		if len(descriptors) > 0 {
			oob = syscall.UnixRights(descriptors...)
		}
		_, _, err = to.WriteMsgUnix(p[:n], oob, nil)
		for _, fd := range descriptors {
			syscall.Close(fd)
		}
		if err != nil {
			return
		}
	}
}

// TestKillingTheNewProcessDropsNobody kills the process that takes over, at any byte of what the two say to each other before the
// old one has been told that the new one has everything.
func TestKillingTheNewProcessDropsNobody(t *testing.T) {
	rounds := 12
	if n := os.Getenv("SWITCHBOARD_TEST_HANDOVER_ROUNDS"); n != "" {
		fmt.Sscan(n, &rounds)
	}
	for _, engine := range engines()[:2] {
		t.Run(engine, func(t *testing.T) {
			leavesNothing(t)
			s := newServer(t, engine)
			s.Accept, s.Moved = everyone(theMovingEcho), movedEcho
			address := start(t, s)
			over, busy, idle := clientsOf(t, address, 5, 100)
			rng := rand.New(rand.NewPCG(uint64(rounds), 5))
			for round := range rounds {
				next := startSuccessor(t, engine)
				ours, theirs := testsocket.UnixPair(t)
				there, back := 1<<30, 47 // Mine ends with the 48th byte
				if round%2 == 0 {
					there = rng.IntN(1200)
				} else {
					back = rng.IntN(48)
				}
				var cut sync.Once
				end := func() {
					cut.Do(func() {
						next.kill() // before the old one can notice
						theirs.Close()
					})
				}
				var relays sync.WaitGroup
				relays.Go(func() { relay(t, theirs, next.link, there); end() })
				relays.Go(func() { relay(t, next.link, theirs, back); end() })
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				if handed, err := s.Handover(ctx, ours); err == nil {
					t.Fatalf("round %d: %+v was handed over to a process that was killed", round, handed)
				}
				cancel()
				ours.Close()
				relays.Wait()
				c := idle[round%len(idle)]
				c.SetDeadline(time.Now().Add(patience))
				roundTrip(t, c, "still here")
			}
			fresh, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			defer fresh.Close()
			idle = append(idle, fresh)
			for _, c := range idle {
				c.SetDeadline(time.Now().Add(patience))
				roundTrip(t, c, "all are")
			}
			next := startSuccessor(t, engine) // this one lives
			ours, theirs := testsocket.UnixPair(t)
			var relays sync.WaitGroup
			relays.Go(func() { relay(t, theirs, next.link, 1<<30); next.link.CloseWrite() })
			relays.Go(func() { relay(t, next.link, theirs, 1<<30); theirs.Close() })
			handed, err := s.Handover(t.Context(), ours)
			if err != nil || handed.Conns != 106 || handed.Stayed != 0 {
				t.Fatalf("%+v, %v", handed, err)
			}
			ours.Close()
			for _, c := range idle {
				c.SetDeadline(time.Now().Add(patience))
				roundTrip(t, c, "and in the new one")
			}
			close(over)
			busy.Wait()
			next.kill()
			relays.Wait()
		})
	}
}

func roundTrip(t *testing.T, c net.Conn, what string) {
	t.Helper()
	if _, err := c.Write([]byte(what)); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(what))
	for n := 0; n < len(got); {
		k, err := c.Read(got[n:])
		if err != nil {
			t.Fatal(err)
		}
		n += k
	}
	if string(got) != what {
		t.Fatalf("%q came back as %q", what, got)
	}
}
