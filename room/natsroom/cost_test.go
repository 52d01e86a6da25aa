package natsroom_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/switchboard-go/switchboard/room"
	"github.com/switchboard-go/switchboard/room/natsroom"
)

// BenchmarkCost passes messages of 64 bytes from a room of one process to one member in another one, with at most a hundred under
// way: by NATS alone, through a Bridge, and through a Log in JetStream. All of them, and the NATS server, share this process.
func BenchmarkCost(b *testing.B) {
	const window = 100
	text := make([]byte, 64)
	var came atomic.Int64
	arrived := make(chan bool, window)
	arrives := func() {
		came.Add(1)
		arrived <- true
	}
	run := func(b *testing.B, publish func() error) {
		free := window
		b.ReportAllocs()
		for b.Loop() {
			if free == 0 {
				<-arrived
			} else {
				free--
			}
			if err := publish(); err != nil {
				b.Fatal(err)
			}
		}
		for ; free < window; free++ {
			<-arrived
		}
	}
	connect := func(b *testing.B, url string) *nats.Conn {
		nc, err := nats.Connect(url, nats.NoEcho())
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(nc.Close)
		return nc
	}
	counting := &room.Form{Encode: func(p []byte, m *room.Message) []byte {
		if m.Seq == 0 {
			return nil
		}
		return append(p, m.Data...)
	}}
	join := func(b *testing.B, hub *room.Hub, arrives func()) *room.Room {
		l := &countingLink{inline: make(chan func(), 1000), arrives: arrives}
		go func() {
			for f := range l.inline {
				f()
			}
		}()
		joined := make(chan *room.Subscription, 1)
		l.Do(func() {
			s, err := hub.Member(l, counting, "").Join("room", nil)
			if err != nil {
				b.Error(err)
			}
			joined <- s
		})
		return (<-joined).Room()
	}
	serve := func(b *testing.B, dir string) string {
		s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true, JetStream: dir != "", StoreDir: dir})
		if err != nil {
			b.Fatal(err)
		}
		s.Start()
		b.Cleanup(func() {
			s.Shutdown()
			s.WaitForShutdown()
		})
		if !s.ReadyForConnections(patience) {
			b.Fatal("the NATS server does not come up")
		}
		return s.ClientURL()
	}
	b.Run("nats", func(b *testing.B) {
		url := serve(b, "")
		to, from := connect(b, url), connect(b, url)
		if _, err := to.Subscribe("x", func(*nats.Msg) { arrives() }); err != nil {
			b.Fatal(err)
		}
		if err := to.Flush(); err != nil {
			b.Fatal(err)
		}
		run(b, func() error { return from.Publish("x", text) })
	})
	for _, kind := range []string{"bridge", "log"} {
		b.Run(kind, func(b *testing.B) {
			dir := ""
			if kind == "log" {
				dir = b.TempDir()
			}
			url := serve(b, dir)
			var rooms []*room.Room
			heard := []func(){func() {}, arrives}
			for i := range 2 {
				nc := connect(b, url)
				bridge, err := natsroom.New(nc, natsroom.Options{Name: fmt.Sprint(i), Logger: quiet})
				if err != nil {
					b.Fatal(err)
				}
				hub := &room.Hub{Bridge: bridge, Logger: quiet}
				if kind == "log" {
					log, err := natsroom.NewLog(bridge, natsroom.LogOptions{})
					if err != nil {
						b.Fatal(err)
					}
					hub = &room.Hub{Log: log, Logger: quiet}
				}
				rooms = append(rooms, join(b, hub, heard[i]))
				if err := nc.Flush(); err != nil {
					b.Fatal(err)
				}
			}
			run(b, func() error {
				_, err := rooms[0].Publish(room.Message{From: "ann", Data: text})
				return err
			})
		})
	}
}

// A countingLink is a member that takes everything.
type countingLink struct {
	inline  chan func()
	arrives func()
}

func (l *countingLink) Do(f func()) error {
	l.inline <- f
	return nil
}

func (l *countingLink) Loop() room.Loop { return l }

func (l *countingLink) Send(payloads []*room.Payload) (bool, error) {
	for _, p := range payloads {
		for range len(p.Bytes) / 64 {
			l.arrives()
		}
	}
	return true, nil
}

func (l *countingLink) Join(payloads []*room.Payload) *room.Payload {
	all := new(room.Payload)
	for _, p := range payloads {
		all.Bytes = append(all.Bytes, p.Bytes...)
	}
	return all
}

func (l *countingLink) WhenSent(f func()) { time.AfterFunc(0, func() { l.Do(f) }) }
func (l *countingLink) Expel(string)      {}
func (l *countingLink) Pause()            {}
func (l *countingLink) Resume()           {}
