package room_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/certs"
	"github.com/switchboard-go/switchboard/internal/testsocket"
	"github.com/switchboard-go/switchboard/internal/testtalk"
	"github.com/switchboard-go/switchboard/room"
	"golang.org/x/sys/unix"
)

// spoken is lines of who says what, and of who has come and gone.
var spoken = &room.Form{Encode: func(b []byte, m *room.Message) []byte {
	if p := m.Presence; p != nil {
		return fmt.Appendf(b, "! came %v, left %v, %d\n", p.Came, p.Left, p.Members)
	}
	return fmt.Appendf(b, "%s\n", m.Data)
}}

// A moving is a server with a room in which all talk in lines, whose connections move.
type moving struct {
	t       *testing.T
	server  *switchboard.Server
	hub     *room.Hub
	plain   string // addresses
	secure  string
	form    *room.Form
	present atomic.Int64
}

func newMoving(t *testing.T, engine string, config *tls.Config) *moving {
	m := &moving{t: t, form: spoken, hub: &room.Hub{Options: room.Options{History: room.History{Messages: 1000}, Presence: time.Millisecond}}}
	m.server = &switchboard.Server{Engine: engine, Loops: 2, Handler: m, Moved: m.moved, Shared: m.hub, TLSConfig: config,
		Logger: slog.New(slog.DiscardHandler)}
	t.Cleanup(func() { m.server.Close() })
	return m
}

// listen serves on a listener, and on one that speaks TLS if there is a config.
func (m *moving) listen(config *tls.Config) {
	at := make(chan net.Addr, 1)
	m.server.TLSConfig = nil
	m.server.Listening = func(a net.Addr) { at <- a }
	go m.server.ListenAndServe("127.0.0.1:0")
	m.plain = (<-at).String()
	if config == nil {
		return
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		m.t.Fatal(err)
	}
	go m.server.ServeTLS(l, config)
	m.secure = (<-at).String()
}

func (m *moving) Opened(c *switchboard.Conn) error {
	member := m.hub.Member(room.Stream(c), m.form, c.RemoteAddr().String())
	c.SetValue(member)
	_, err := member.Join("room", nil)
	if err == nil {
		m.present.Add(1)
	}
	return err
}

func (m *moving) Data(c *switchboard.Conn, p []byte) (int, error) {
	i := bytes.IndexByte(p, '\n')
	if i < 0 {
		return 0, nil
	}
	_, err := c.Value().(*room.Member).In("room").PublishToOthers(room.Message{Data: bytes.Clone(p[:i])})
	if errors.Is(err, room.ErrBacklog) {
		return 0, nil
	}
	return i + 1, err
}

func (m *moving) Closed(c *switchboard.Conn, err error) {
	if member, ok := c.Value().(*room.Member); ok && len(member.Joined()) > 0 {
		member.Ended(err)
		m.present.Add(-1)
	}
}

func (m *moving) Move(c *switchboard.Conn) (switchboard.HandlerState, error) {
	return c.Value().(*room.Member).Move()
}

func (m *moving) moved(c *switchboard.Conn, from switchboard.HandlerState) (switchboard.Handler, error) {
	member, err := m.hub.MovedMember(room.Stream(c), m.form, from.Data)
	if err == nil {
		c.SetValue(member)
		m.present.Add(1)
	}
	return m, err
}

// handOver has to take over from m. The first bytes of what m says come, and then nothing more if that is less than all.
func (m *moving) handOver(to *moving, most int) (switchboard.Handed, error) {
	m.t.Helper()
	a, b := testsocket.UnixPair(m.t)
	c, d := testsocket.UnixPair(m.t)
	ctx, cancel := context.WithTimeout(m.t.Context(), patience)
	defer cancel()
	var all sync.WaitGroup
	all.Go(func() { pass(m.t, b, c, most) })
	all.Go(func() { pass(m.t, c, b, 1<<30) })
	taken := make(chan error, 1)
	go func() {
		_, err := to.server.Takeover(ctx, d)
		d.Close()
		taken <- err
	}()
	handed, err := m.server.Handover(ctx, a)
	a.Close()
	late := <-taken
	if (late == nil) != (err == nil) {
		m.t.Errorf("one says %v and the other %v", err, late)
	} else if err != nil && most == 1<<30 {
		m.t.Log(late)
	}
	all.Wait()
	return handed, err
}

// pass passes on what one end says, with its descriptors, up to so many bytes. Descriptors come with the header of a frame, which is
// read by itself: the system joins it with what was written before.
func pass(t *testing.T, from, to *net.UnixConn, most int) {
	defer to.CloseWrite()
	defer from.CloseRead()
	p, rights := make([]byte, 1<<16), make([]byte, 1<<12)
	const header = 8
	var head []byte
	for left := 0; most > 0; {
		want := left
		if left == 0 {
			want = header - len(head)
		}
		n, size, _, _, err := from.ReadMsgUnix(p[:min(len(p), most, want)], rights)
		if err != nil || n == 0 {
			return
		}
		if most -= n; left > 0 {
			left -= n
		} else if head = append(head, p[:n]...); len(head) == header {
			left, head = int(binary.LittleEndian.Uint32(head[4:])), nil
		}
		var fds []int
		if size > 0 {
			messages, err := unix.ParseSocketControlMessage(rights[:size])
			if err != nil {
				t.Error(err)
				return
			}
			for i := range messages {
				list, _ := unix.ParseUnixRights(&messages[i])
				fds = append(fds, list...)
			}
		}
		var oob []byte
		if len(fds) > 0 {
			oob = unix.UnixRights(fds...)
		}
		sent, _, err := to.WriteMsgUnix(p[:n], oob, nil)
		if err == nil && sent < n {
			_, err = to.Write(p[sent:n])
		}
		for _, fd := range fds {
			unix.Close(fd)
		}
		if err != nil {
			return
		}
	}
}

// join connects talkers, and waits until all are in the room.
func (m *moving) join(n int, dial func() (net.Conn, error)) (all []*testtalk.Talker) {
	m.t.Helper()
	want := m.present.Load() + int64(n)
	for range n {
		c, err := dial()
		if err != nil {
			m.t.Fatal(err)
		}
		m.t.Cleanup(func() { c.Close() })
		all = append(all, testtalk.Lines(c))
	}
	await(m.t, func() bool { return m.present.Load() == want })
	return all
}

func await(t *testing.T, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not come to pass")
		}
	}
}

func onEngines(t *testing.T, test func(t *testing.T, engine string)) {
	for _, name := range []string{"uring", "epoll"} {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(strings.Join(switchboard.Engines(), " "), name) {
				t.Skip("this system has no " + name)
			}
			test(t, name)
		})
	}
}

// Those who move and those who stay talk with each other as before.
func TestMembersWhoStayHearAndAreHeard(t *testing.T) {
	own, err := certs.SelfSigned("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{own}}
	onEngines(t, func(t *testing.T, engine string) {
		m := newMoving(t, engine, nil)
		m.listen(config)
		secret := func() (net.Conn, error) { return tls.Dial("tcp", m.secure, &tls.Config{InsecureSkipVerify: true}) }
		plain := func() (net.Conn, error) { return net.Dial("tcp", m.plain) }
		all := append(m.join(4, plain), m.join(4, secret)...)
		next := newMoving(t, engine, config)
		read := func(heard string) (string, bool) {
			if strings.HasPrefix(heard, "!") && !strings.HasSuffix(heard, "left [], 8") && !strings.Contains(heard, "left []") {
				t.Errorf("somebody heard %s", heard)
			}
			return heard, !strings.HasPrefix(heard, "!")
		}
		var before int
		said := testtalk.While(t, all, read, func() {
			r, err := m.hub.Room("room")
			if err != nil {
				t.Fatal(err)
			}
			await(t, func() bool { return r.Position().Seq > 100 || t.Failed() })
			handed, err := m.handOver(next, 1<<30)
			if err != nil || handed.Conns != 4 || handed.Stayed != 4 || handed.Why != "" {
				t.Fatalf("%+v, %v", handed, err)
			}
			r, err = next.hub.Room("room")
			if err != nil {
				t.Fatal(err)
			}
			before = int(r.Position().Seq)
			await(t, func() bool { return r.Position().Seq > uint64(before)+1000 || t.Failed() })
		})
		r, err := next.hub.Room("room")
		if err != nil {
			t.Fatal(err)
		}
		await(t, func() bool { return r.Position().Seq == uint64(said) })
		t.Logf("%d messages, %d of them before", said, before)
		if names, n := r.Members(); n != 8 {
			t.Errorf("%d are there: %v", n, names)
		}
		old, err := m.hub.Room("room")
		if err != nil || !m.hub.HandedOver() || !next.hub.Divided() {
			t.Errorf("%v", err)
		}
		if _, err := old.Publish(room.Message{Data: []byte("! published there")}); err != nil {
			t.Error(err)
		}
		await(t, func() bool { return r.Position().Seq == uint64(said+1) && old.Position() == r.Position() })
		if _, err := m.hub.Member(nowhere{}, spoken, "late").Join("room", nil); !errors.Is(err, room.ErrHandedOver) {
			t.Errorf("joining: %v", err)
		}
		for _, k := range all[4:] { // those who stayed
			k.End()
		}
		await(t, func() bool { _, n := r.Members(); return n == 4 && !next.hub.Divided() })
		if _, err := old.Publish(room.Message{}); !errors.Is(err, room.ErrHandedOver) {
			t.Errorf("publishing: %v", err)
		}
		testtalk.While(t, all[:4], func(heard string) (string, bool) { return heard, !strings.HasPrefix(heard, "!") }, func() {})
	})
}

// What waits for a member that does not read, and what it has missed, moves with it.
func TestASlowMemberMovesWithItsQueue(t *testing.T) {
	onEngines(t, func(t *testing.T, engine string) {
		m := newMoving(t, engine, nil)
		m.form = numbered
		m.listen(nil)
		before := m.present.Load()
		slow, err := net.Dial("tcp", m.plain)
		if err != nil {
			t.Fatal(err)
		}
		defer slow.Close()
		slow.SetDeadline(time.Now().Add(patience))
		await(t, func() bool { return m.present.Load() == before+1 })
		text := bytes.Repeat([]byte("x"), 1000)
		last := uint64(0)
		publish := func(n int) {
			t.Helper()
			r, err := m.hub.Room("room")
			if err != nil {
				t.Fatal(err)
			}
			for range n {
				await(t, func() bool {
					seq, err := r.Publish(room.Message{Data: text})
					if err == nil && seq != last+1 {
						t.Fatalf("%d after %d", seq, last)
					}
					return err == nil
				})
				last++
			}
		}
		publish(20_000) // more than the kernel holds
		for range 3 {
			next := newMoving(t, engine, nil)
			next.form = numbered
			if handed, err := m.handOver(next, 1<<30); err != nil || handed.Conns != 1 {
				t.Fatalf("%+v, %v", handed, err)
			}
			m = next
			publish(500)
		}
		got, dropped := uint64(0), uint64(0)
		in := bufio.NewReader(slow)
		for at := uint64(0); at < last; {
			line, err := in.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			var n uint64
			if _, err := fmt.Sscanf(line, "dropped %d\n", &n); err == nil {
				dropped += n
			} else if _, err := fmt.Sscanf(line, "%d ", &n); err != nil || n <= at || len(line) < len(text) {
				t.Fatalf("%.40q after %d", line, at)
			} else {
				got, at = got+1, n
			}
		}
		if got+dropped != last || dropped == 0 {
			t.Errorf("%d came and %d were dropped, of %d", got, dropped, last)
		}
	})
}

// nowhere is the Link of nobody.
type nowhere struct{ room.Link }

func (nowhere) Loop() room.Loop { return nil }

// A handover that breaks off at any byte changes nothing for anybody.
func TestRoomsStayIfAHandoverFails(t *testing.T) {
	rounds := 30
	if testing.Short() {
		rounds = 5
	}
	onEngines(t, func(t *testing.T, engine string) {
		m := newMoving(t, engine, nil)
		m.listen(nil)
		all := m.join(6, func() (net.Conn, error) { return net.Dial("tcp", m.plain) })
		failed, moved := 0, 0
		said := testtalk.While(t, all, func(heard string) (string, bool) {
			if strings.HasPrefix(heard, "!") && !strings.Contains(heard, "left []") {
				t.Errorf("somebody heard %s", heard)
			}
			return heard, !strings.HasPrefix(heard, "!")
		}, func() {
			for range rounds {
				next := newMoving(t, engine, nil)
				if handed, err := m.handOver(next, rand.IntN(12_000)); err != nil {
					failed++
					next.server.Close()
				} else if handed.Conns != len(all) {
					t.Errorf("%+v", handed)
				} else {
					moved++
					m.server.Close()
					m = next
				}
			}
		})
		t.Logf("%d failed, %d did not, %d messages", failed, moved, said)
		r, err := m.hub.Room("room")
		if err != nil {
			t.Fatal(err)
		}
		await(t, func() bool { return r.Position().Seq == uint64(said) && m.present.Load() == int64(len(all)) })
		if names, n := r.Members(); n != len(all) {
			t.Errorf("%d are there: %v", n, names)
		}
	})
}
