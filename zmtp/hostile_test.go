package zmtp_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard/internal/systest"
	"github.com/switchboard-go/switchboard/zmtp"
)

// events gathers what a monitor is told.
type events struct {
	mu  sync.Mutex
	all []zmtp.Event
}

func (e *events) add(event zmtp.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, event)
}

// find returns the first event of a kind, nil if there is none.
func (e *events) find(kind zmtp.EventKind) *zmtp.Event {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range e.all {
		if e.all[i].Kind == kind {
			return &e.all[i]
		}
	}
	return nil
}

func hello(minor byte, mechanism string) string {
	b := make([]byte, 64)
	b[0], b[9], b[10], b[11] = 0xff, 0x7f, 3, minor
	copy(b[12:], mechanism)
	return string(b)
}

func frame(flags byte, body string) string {
	if len(body) > 255 {
		return string(binary.BigEndian.AppendUint64([]byte{flags | 2}, uint64(len(body)))) + body
	}
	return string([]byte{flags, byte(len(body))}) + body
}

func command(name, data string) string { return frame(4, string(rune(len(name)))+name+data) }

func ready(typ string) string {
	return command("READY", "\x0bSocket-Type\x00\x00\x00"+string(rune(len(typ)))+typ)
}

func readyAs(typ, identity string) string {
	return command("READY", "\x0bSocket-Type\x00\x00\x00"+string(rune(len(typ)))+typ+
		"\x08Identity\x00\x00\x00"+string(rune(len(identity)))+identity)
}

// Each of these peers is ended alone, for the reason that its row tells, and a good peer beside it does not notice.
func TestBadPeersAreEndedAlone(t *testing.T) {
	nullHello := hello(1, "NULL")
	for _, c := range []struct {
		name string
		typ  zmtp.Type
		o    zmtp.Options
		says string
		want string
	}{
		{"HTTP", zmtp.PULL, zmtp.Options{}, "GET / HTTP/1.1\r\n\r\n", "does not speak ZMTP"},
		{"zeros", zmtp.PULL, zmtp.Options{}, "\x00\x00", "does not speak ZMTP"},
		{"ZMTP 1.0", zmtp.PULL, zmtp.Options{}, "\x01\x00", "ZMTP 1.0"},
		{"ZMTP 1.0, long", zmtp.PULL, zmtp.Options{}, "\xff\x00\x00\x00\x00\x00\x00\x01\x00\x00", "ZMTP 1.0"},
		{"ZMTP 2.0", zmtp.PULL, zmtp.Options{}, "\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x01", "ZMTP 2.0"},
		{"a wrong signature", zmtp.PULL, zmtp.Options{}, "\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7d", "signature"},
		{"another mechanism", zmtp.PULL, zmtp.Options{}, hello(1, "PLAIN"), "mechanism is PLAIN, this socket's is NULL"},
		{"no mechanism", zmtp.PULL, zmtp.Options{}, hello(1, ""), "mechanism"},
		{"a mechanism in small letters", zmtp.PULL, zmtp.Options{}, hello(1, "null"), "mechanism"},
		{"a message too early", zmtp.PULL, zmtp.Options{}, nullHello + frame(0, "x"), "before the handshake"},
		{"a command out of turn", zmtp.PULL, zmtp.Options{}, nullHello + command("WELCOME", ""), `"WELCOME" came in a NULL handshake`},
		{"a READY twice", zmtp.PULL, zmtp.Options{}, nullHello + ready("PUSH") + ready("PUSH"), "after the handshake"},
		{"a command cut off", zmtp.PULL, zmtp.Options{}, nullHello + frame(4, "\x09READY"), "cut off"},
		{"an empty command", zmtp.PULL, zmtp.Options{}, nullHello + frame(4, ""), "cut off"},
		{"metadata cut off", zmtp.PULL, zmtp.Options{}, nullHello + command("READY", "\x0bSocket-Type\x00\x00\x00\x09PUSH"), "cut off"},
		{"metadata with a bad name", zmtp.PULL, zmtp.Options{}, nullHello + command("READY", "\x01 \x00\x00\x00\x00"), "name"},
		{"no socket type", zmtp.PULL, zmtp.Options{}, nullHello + command("READY", ""), "socket type"},
		{"a type of no use", zmtp.PULL, zmtp.Options{}, nullHello + ready("SUB"), "SUB cannot talk to a PULL"},
		{"an unknown type", zmtp.PULL, zmtp.Options{}, nullHello + ready("FOO"), "FOO cannot talk to a PULL"},
		{"a bad identity", zmtp.ROUTER, zmtp.Options{}, nullHello + readyAs("DEALER", "\x00x"), "identity"},
		{"an ERROR", zmtp.PULL, zmtp.Options{}, nullHello + command("ERROR", "\x03why"), `refused: "why"`},
		{"a handshake that is too long", zmtp.PULL, zmtp.Options{}, nullHello + "\x06\x00\x00\x00\x00\x00\x10\x00\x00", "allow"},
		{"reserved flags", zmtp.PULL, zmtp.Options{}, nullHello + ready("PUSH") + "\x08\x01x", "reserved flags"},
		{"a command of several frames", zmtp.PULL, zmtp.Options{}, nullHello + ready("PUSH") + "\x05\x01x", "more frames follow"},
		{"a length of all ones", zmtp.PULL, zmtp.Options{}, nullHello + ready("PUSH") + "\x02\xff\xff\xff\xff\xff\xff\xff\xff", "more than the protocol allows"},
		{"a length over the limit", zmtp.PULL, zmtp.Options{MaxMessageSize: 1000}, nullHello + ready("PUSH") + "\x02\x00\x00\x00\x00\x00\x00\x03\xe9", "allow"},
		{"parts over the limit together", zmtp.PULL, zmtp.Options{MaxMessageSize: 1000},
			nullHello + ready("PUSH") + frame(1, strings.Repeat("x", 600)) + frame(0, strings.Repeat("x", 600)), "allow"},
		{"too many parts", zmtp.PULL, zmtp.Options{MaxParts: 3}, nullHello + ready("PUSH") + strings.Repeat(frame(1, ""), 4), "allow"},
		{"a subscription for a PULL", zmtp.PULL, zmtp.Options{}, nullHello + ready("PUSH") + command("SUBSCRIBE", "x"), "does not publish"},
		{"a group for a PUB", zmtp.PUB, zmtp.Options{}, nullHello + ready("SUB") + command("JOIN", "x"), "has no groups"},
		{"cancelling nothing", zmtp.PUB, zmtp.Options{}, nullHello + ready("SUB") + command("SUBSCRIBE", "a") + command("CANCEL", "b"), "does not have"},
		{"cancelling nothing in 3.0", zmtp.PUB, zmtp.Options{}, hello(0, "NULL") + ready("SUB") + frame(0, "\x00b"), "does not have"},
		{"too many subscriptions", zmtp.PUB, zmtp.Options{SubscriptionLimit: 1000},
			nullHello + ready("SUB") + func() (all string) {
				for i := range 10 {
					all += command("SUBSCRIBE", fmt.Sprint(i))
				}
				return all
			}(), "Options.SubscriptionLimit"},
		{"a long group", zmtp.RADIO, zmtp.Options{}, nullHello + ready("DISH") + command("JOIN", strings.Repeat("g", 300)), "allow"},
		{"a request without an envelope", zmtp.REP, zmtp.Options{}, nullHello + ready("DEALER") + frame(0, "x"), "empty part"},
		{"a short PING", zmtp.PULL, zmtp.Options{}, nullHello + ready("PUSH") + command("PING", "\x00"), "time to live"},
		{"a PING with too much", zmtp.PULL, zmtp.Options{}, nullHello + ready("PUSH") + command("PING", "\x00\x00"+strings.Repeat("c", 17)), "at most 16"},
		{"PLAIN without a password", zmtp.PULL, plainServer(), hello(1, "PLAIN") + command("HELLO", "\x03ann"), "PLAIN HELLO"},
		{"PLAIN with a wrong password", zmtp.PULL, plainServer(), hello(1, "PLAIN") + command("HELLO", "\x03ann\x03bad"), "Authenticate refused"},
		{"PLAIN out of turn", zmtp.PULL, plainServer(), hello(1, "PLAIN") + command("INITIATE", ""), `"INITIATE" came in a PLAIN handshake where HELLO is due`},
		{"CURVE with a short HELLO", zmtp.PULL, curveServer(), hello(1, "CURVE") + command("HELLO", "\x01\x00"), "CURVE HELLO"},
		{"CURVE with a forged HELLO", zmtp.PULL, curveServer(), hello(1, "CURVE") + command("HELLO", "\x01\x00"+strings.Repeat("k", 192)), "decrypted"},
		{"CURVE of another version", zmtp.PULL, curveServer(), hello(1, "CURVE") + command("HELLO", "\x02\x00"+strings.Repeat("k", 192)), "version 2.0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, piecemeal := range []bool{false, true} {
				var seen events
				c.o.Monitor = seen.add
				ctx := newContext(t)
				s := socketOf(t, ctx, c.typ, &c.o)
				at := bind(t, s, "tcp://127.0.0.1:*")
				conn, err := net.Dial("tcp", strings.TrimPrefix(at, "tcp://"))
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				if piecemeal {
					for i := range len(c.says) {
						if _, err := conn.Write([]byte{c.says[i]}); err != nil {
							break // it has been ended already
						}
					}
				} else {
					conn.Write([]byte(c.says))
				}
				conn.SetReadDeadline(time.Now().Add(patience))
				if _, err := io.Copy(io.Discard, conn); errors.Is(err, net.ErrClosed) || err != nil && strings.Contains(err.Error(), "timeout") {
					t.Fatalf("the peer was not ended: %v", err)
				}
				conn.Close()
				var end *zmtp.Event
				eventually(t, "the end is told", func() bool {
					if end = seen.find(zmtp.HandshakeFailed); end == nil {
						end = seen.find(zmtp.Disconnected)
					}
					return end != nil
				})
				if end.Err == nil || !strings.Contains(end.Err.Error(), c.want) {
					t.Errorf("ended with %q, want %q", end.Err, c.want)
				}
				if c.want == "allow" || strings.Contains(c.want, "Limit") {
					if !errors.Is(end.Err, zmtp.ErrTooLarge) {
						t.Errorf("%v is not ErrTooLarge", end.Err)
					}
				}
			}
		})
	}
}

func plainServer() zmtp.Options {
	return zmtp.Options{Security: zmtp.PlainServer{}, Authenticate: func(*zmtp.Login) (string, error) { return "", errors.New("no") }}
}

func curveServer() zmtp.Options {
	_, secret := zmtp.NewKeyPair()
	return zmtp.Options{Security: zmtp.CurveServer{SecretKey: secret}}
}

// A libzmq that is told of another mechanism goes without telling its own.
func TestPeerThatGoesInItsGreetingMayHaveAnotherMechanism(t *testing.T) {
	for _, cut := range []int{1, 10, 12, 63} {
		var seen events
		o := curveServer()
		o.Monitor = seen.add
		s := socketOf(t, newContext(t), zmtp.PULL, &o)
		conn, err := net.Dial("tcp", strings.TrimPrefix(bind(t, s, "tcp://127.0.0.1:*"), "tcp://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.Write([]byte(hello(1, "NULL")[:cut]))
		conn.(*net.TCPConn).CloseWrite()
		eventually(t, "the end", func() bool { return seen.find(zmtp.HandshakeFailed) != nil })
		err = seen.find(zmtp.HandshakeFailed).Err
		if told := strings.Contains(err.Error(), "its mechanism is not CURVE"); told != (cut >= 10) || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("after %d bytes: %v", cut, err)
		}
	}
}

// The wrong part of a greeting shows as soon as it has come: a peer that says no more is not waited for.
func TestWrongGreetingShowsAtItsFirstWrongByte(t *testing.T) {
	good := hello(1, "NULL")
	for _, at := range []int{0, 9, 10} {
		var seen events
		c := newContext(t)
		s := socketOf(t, c, zmtp.PULL, &zmtp.Options{Monitor: seen.add, HandshakeTimeout: -1})
		conn, err := net.Dial("tcp", strings.TrimPrefix(bind(t, s, "tcp://127.0.0.1:*"), "tcp://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.Write([]byte(good[:at] + "\x00"))
		eventually(t, "the end", func() bool { return seen.find(zmtp.HandshakeFailed) != nil })
	}
}

func TestPeerThatSaysNothingIsEndedAfterTheHandshakeTimeout(t *testing.T) {
	var seen events
	c := newContext(t)
	s := socketOf(t, c, zmtp.PULL, &zmtp.Options{Monitor: seen.add, HandshakeTimeout: 50 * time.Millisecond})
	conn, err := net.Dial("tcp", strings.TrimPrefix(bind(t, s, "tcp://127.0.0.1:*"), "tcp://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	eventually(t, "the end", func() bool { return seen.find(zmtp.HandshakeFailed) != nil })
	if e := seen.find(zmtp.HandshakeFailed); !errors.Is(e.Err, zmtp.ErrHandshakeTimeout) {
		t.Error(e.Err)
	}
}

// speak connects as a peer of the type named, past the handshake.
func speak(t *testing.T, endpoint, typ string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(endpoint, "tcp://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	conn.Write([]byte(hello(1, "NULL") + ready(typ)))
	b := make([]byte, 66)
	if _, err := io.ReadFull(conn, b); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, make([]byte, b[65])); err != nil {
		t.Fatal(err)
	}
	return conn
}

func TestSubscribingTwiceMayBeCancelledOnceOrTwice(t *testing.T) {
	c := newContext(t)
	pub := socketOf(t, c, zmtp.XPUB, &zmtp.Options{XPubVerboser: true})
	conn := speak(t, bind(t, pub, "tcp://127.0.0.1:*"), "SUB")
	for _, said := range []string{"SUBSCRIBE", "SUBSCRIBE", "CANCEL", "CANCEL", "SUBSCRIBE"} {
		conn.Write([]byte(command(said, "a")))
		expect(t, pub, map[string]string{"SUBSCRIBE": "\x01a", "CANCEL": "\x00a"}[said])
	}
	send(t, pub, "a")
	if b := make([]byte, 3); func() error { _, err := io.ReadFull(conn, b); return err }() != nil || string(b) != frame(0, "a") {
		t.Errorf("%q", b)
	}
}

func TestPingIsAnsweredAlsoInTheMiddleOfAMessage(t *testing.T) {
	c := newContext(t)
	pull := socketOf(t, c, zmtp.PULL, nil)
	conn := speak(t, bind(t, pull, "tcp://127.0.0.1:*"), "PUSH")
	conn.Write([]byte(frame(1, "one") + command("PING", "\x00\x00ctx") + frame(0, "two")))
	expect(t, pull, "one|two")
	want := command("PONG", "ctx")
	b := make([]byte, len(want))
	if _, err := io.ReadFull(conn, b); err != nil || string(b) != want {
		t.Errorf("%q, %v", b, err)
	}
	conn.Write([]byte(command("SOMETHING-NEW", "of a later version") + frame(0, "three")))
	expect(t, pull, "three")
}

func TestPeerThatIsSilentLongerThanItsTTLIsEnded(t *testing.T) {
	var seen events
	c := newContext(t)
	pull := socketOf(t, c, zmtp.PULL, &zmtp.Options{Monitor: seen.add})
	conn := speak(t, bind(t, pull, "tcp://127.0.0.1:*"), "PUSH")
	conn.Write([]byte(command("PING", "\x00\x01")))
	eventually(t, "the end", func() bool { return seen.find(zmtp.Disconnected) != nil })
	if e := seen.find(zmtp.Disconnected); !errors.Is(e.Err, zmtp.ErrHeartbeat) {
		t.Error(e.Err)
	}
}

func TestHeartbeatsEndAPeerThatDoesNotAnswer(t *testing.T) {
	var seen events
	c := newContext(t)
	pull := socketOf(t, c, zmtp.PULL, &zmtp.Options{Monitor: seen.add, HeartbeatInterval: 20 * time.Millisecond, HeartbeatTTL: 3 * time.Second})
	conn := speak(t, bind(t, pull, "tcp://127.0.0.1:*"), "PUSH")
	want := command("PING", "\x00\x1e")
	b := make([]byte, len(want))
	// On Windows the reset of the end takes along what the peer has not read by then.
	_, err := io.ReadFull(conn, b)
	if lost := runtime.GOOS == "windows" && systest.Is(err, syscall.ECONNRESET); !lost && (err != nil || string(b) != want) {
		t.Errorf("%q, %v", b, err)
	}
	eventually(t, "the end", func() bool { return seen.find(zmtp.Disconnected) != nil })
	if e := seen.find(zmtp.Disconnected); !errors.Is(e.Err, zmtp.ErrHeartbeat) {
		t.Error(e.Err)
	}
}

// While the program does not receive, its peers are not read, and what they say is not heard. They are not dead.
func TestHeartbeatsDoNotEndAPeerThatIsNotRead(t *testing.T) {
	beats := zmtp.Options{HeartbeatInterval: 50 * time.Millisecond, HeartbeatTimeout: time.Second}
	asks := zmtp.Options{HeartbeatInterval: 50 * time.Millisecond, HeartbeatTimeout: time.Hour, HeartbeatTTL: time.Second}
	for name, o := range map[string]struct{ push, pull zmtp.Options }{"ours": {pull: beats}, "the peer's wish": {push: asks}} {
		t.Run(name, func(t *testing.T) {
			const count, size = 2000, 20_000
			var ended atomic.Int64
			o.pull.Monitor = func(e zmtp.Event) {
				if e.Kind == zmtp.Disconnected {
					ended.Add(1)
				}
			}
			o.pull.RecvHighWater = 10
			pull := socketOf(t, newContext(t), zmtp.PULL, &o.pull)
			push := socketOf(t, newContext(t), zmtp.PUSH, &o.push)
			connect(t, push, bind(t, pull, "tcp://127.0.0.1:*"))
			time.Sleep(300 * time.Millisecond) // in which some PINGs are exchanged
			go func() {
				for n := range count {
					if err := push.Send(fmt.Append(nil, n), make([]byte, size)); err != nil {
						t.Error(err)
						return
					}
				}
			}()
			eventually(t, "messages wait", func() bool { return pull.Stats().Waiting >= 10 })
			time.Sleep(2500 * time.Millisecond) // in which nothing may happen
			for n := range count {
				if parts, err := pull.Recv(); err != nil || string(parts[0]) != fmt.Sprint(n) {
					t.Fatalf("message %d is %.20q, %v", n, parts, err)
				}
			}
			if n := ended.Load(); n > 0 {
				t.Errorf("%d connections were ended", n)
			}
		})
	}
}

// A peer that sends PINGs and reads nothing fills a queue of bounded size, and then is ended.
func TestFloodOfPingsIsBounded(t *testing.T) {
	var seen events
	c := newContext(t)
	pull := socketOf(t, c, zmtp.PULL, &zmtp.Options{Monitor: seen.add})
	conn := speak(t, bind(t, pull, "tcp://127.0.0.1:*"), "PUSH")
	conn.(*net.TCPConn).SetReadBuffer(4096)
	flood := bytes.Repeat([]byte(command("PING", "\x00\x00"+strings.Repeat("c", 16))), 1000)
	go func() {
		for {
			if _, err := conn.Write(flood); err != nil {
				return
			}
		}
	}()
	eventually(t, "the end", func() bool { return seen.find(zmtp.Disconnected) != nil })
	if e := seen.find(zmtp.Disconnected); !errors.Is(e.Err, zmtp.ErrTooLarge) {
		t.Error(e.Err)
	}
}

func TestClashingIdentities(t *testing.T) {
	for _, handover := range []bool{false, true} {
		var seen events
		c := newContext(t)
		router := socketOf(t, c, zmtp.ROUTER, &zmtp.Options{RouterHandover: handover, Monitor: seen.add})
		at := bind(t, router, "tcp://127.0.0.1:*")
		first := socketOf(t, c, zmtp.DEALER, &zmtp.Options{Identity: "same", ReconnectMin: time.Hour})
		connect(t, first, at)
		send(t, first, "first")
		expect(t, router, "same|first")
		second := socketOf(t, c, zmtp.DEALER, &zmtp.Options{Identity: "same", ReconnectMin: time.Hour, Linger: -1})
		connect(t, second, at)
		if handover {
			send(t, second, "second")
			expect(t, router, "same|second")
			send(t, router, "same", "to the second")
			expect(t, second, "to the second")
			continue
		}
		eventually(t, "the second is refused", func() bool { return seen.find(zmtp.HandshakeFailed) != nil })
		if e := seen.find(zmtp.HandshakeFailed); !strings.Contains(e.Err.Error(), `"same" belongs to another peer`) {
			t.Error(e.Err)
		}
		send(t, router, "same", "to the first")
		expect(t, first, "to the first")
	}
}

func TestMaxPeersRefusesFurtherOnes(t *testing.T) {
	var seen events
	c := newContext(t)
	pull := socketOf(t, c, zmtp.PULL, &zmtp.Options{MaxPeers: 1, Monitor: seen.add})
	at := bind(t, pull, "tcp://127.0.0.1:*")
	speak(t, at, "PUSH")
	conn, err := net.Dial("tcp", strings.TrimPrefix(at, "tcp://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	eventually(t, "the second is refused", func() bool { return seen.find(zmtp.AcceptFailed) != nil })
}

// A claimed length takes no memory: a thousand peers that claim the largest message cost little until they send it.
func TestClaimedLengthTakesNoMemory(t *testing.T) {
	c := newContext(t)
	pull := socketOf(t, c, zmtp.PULL, nil)
	at := bind(t, pull, "tcp://127.0.0.1:*")
	before := heap()
	for range 300 {
		conn := speak(t, at, "PUSH")
		conn.Write([]byte("\x02\x00\x00\x00\x00\x04\x00\x00\x00" + "begin"))
	}
	eventually(t, "all are there", func() bool { return pull.Stats().Peers == 300 })
	if grown := heap() - before; grown > 300*20<<10 {
		t.Errorf("300 peers that claim 64 MiB each take %d bytes", grown)
	}
}
