//go:build linux

package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard/zmtp"
)

// An abusedDevice is a device, what hostile peers of each side say, and how a pair that means well uses it.
type abusedDevice struct {
	name        string
	front, back string // types of the peers
	sender      zmtp.Type
	receiver    zmtp.Type
	workers     bool // whoever connects to the back is given work, and is trusted to do it
}

var abusedDevices = []abusedDevice{
	{name: "zmq-forwarder", front: "PUB", back: "SUB", sender: zmtp.PUB, receiver: zmtp.SUB},
	{name: "zmq-queue", front: "DEALER", sender: zmtp.REQ, receiver: zmtp.REP, workers: true},
	{name: "zmq-streamer", front: "PUSH", back: "PULL", sender: zmtp.PUSH, receiver: zmtp.PULL},
}

// Peers that never read, floods of large messages and of subscriptions, and messages without an end cost a device no more than its
// memory limit allows, and do not keep it from carrying messages of others.
func TestHostileZeroMQPeers(t *testing.T) {
	for _, device := range abusedDevices {
		for _, engine := range []string{"uring", "epoll"} {
			if !slices.Contains(engines(), engine) {
				continue
			}
			t.Run(device.name+"/"+engine, func(t *testing.T) {
				t.Parallel()
				abuseDevice(t, device, engine)
			})
		}
	}
}

func abuseDevice(t *testing.T, device abusedDevice, engine string) {
	args := serveArgs([]string{device.name, "--engine", engine, "--listen=127.0.0.1:0", "--back=127.0.0.1:0", "--quiet", "--grace=20s", "--memory-limit=24M"})
	s := start(t, exec.Command("sh", append([]string{"-c", fmt.Sprintf(`ulimit -n %d && exec "$@"`, hostileFiles), "sh", os.Args[0]}, args...)...))
	at := map[string]string{}
	s.await("listening on ", 2)
	for _, e := range s.entries("listening on ") {
		at[e["side"].(string)] = strings.TrimPrefix(e["msg"].(string), "listening on ")
	}
	good := goodPair(t, device, at["front"], at["back"], nil)
	if err := good(); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), *hostileFor)
	defer stop()
	var attackers sync.WaitGroup
	for _, kind := range device.attacks(at["front"], at["back"]) {
		for range 8 {
			attackers.Go(func() {
				for ctx.Err() == nil {
					kind(ctx)
				}
			})
		}
	}
	over := make(chan struct{})
	go func() { attackers.Wait(); close(over) }()
	n := 0
	for waits := true; waits; n++ {
		select {
		case <-over:
			waits = false
		default:
		}
		if err := good(); err != nil {
			t.Fatalf("after %d exchanges: %v", n, err)
		}
	}
	if peak := peakMemory(t, s.cmd.Process.Pid); peak > hostileMemory {
		t.Errorf("the device occupied %d MiB", peak>>20)
	} else {
		t.Logf("%d exchanges of a good pair; %d MiB at most", n, peak>>20)
	}
	until(t, "all hostile peers are gone", func() bool { return descriptors(t, s) < 60 })
	s.stop() // while there is somebody to have what waits
}

// Floods of handshakes of CURVE, begun, repeated, garbled and never finished, cost a device neither more memory nor more descriptors
// than it may have, and keep those who have keys neither from talking nor from connecting.
func TestHostileHandshakesOfZeroMQ(t *testing.T) {
	for _, engine := range []string{"uring", "epoll"} {
		if !slices.Contains(engines(), engine) {
			continue
		}
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			public, secret := zmtp.NewKeyPair()
			file := filepath.Join(t.TempDir(), "key")
			if err := os.WriteFile(file, []byte(secret.String()), 0o600); err != nil {
				t.Fatal(err)
			}
			args := serveArgs([]string{"zmq-streamer", "--engine", engine, "--listen=127.0.0.1:0", "--back=127.0.0.1:0", "--memory-limit=24M", "--curve-secret", file})
			s := start(t, exec.Command("sh", append([]string{"-c", `ulimit -n 100 && exec "$@"`, "sh", os.Args[0]}, args...)...))
			at := map[string]string{}
			s.await("listening on ", 2)
			for _, e := range s.entries("listening on ") {
				at[e["side"].(string)] = strings.TrimPrefix(e["msg"].(string), "listening on ")
			}
			device, client := abusedDevices[2], zmtp.CurveClient{ServerKey: public}
			good := goodPair(t, device, at["front"], at["back"], client)
			if err := good(); err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithTimeout(t.Context(), *hostileFor)
			defer stop()
			var strangers sync.WaitGroup
			hello := curveHello(t, client)
			for i := range 80 {
				says := []string{"", hello[:64], hello, hello[:200] + strings.Repeat("x", 500), hello + zmqFrame(4, "\x08INITIATE"+strings.Repeat("x", 60000))}[i%5]
				strangers.Go(func() {
					for n := i / 10 % 2; ctx.Err() == nil; n++ {
						to := at["front"]
						if n%2 == 1 {
							to = at["back"]
						}
						conn, err := new(net.Dialer).DialContext(ctx, "tcp", to)
						if err != nil {
							time.Sleep(time.Millisecond)
							continue
						}
						stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Now()) })
						io.WriteString(conn, says)
						if i%2 == 0 {
							io.Copy(io.Discard, conn)
						}
						stop()
						conn.Close()
					}
				})
			}
			late := goodPair(t, device, at["front"], at["back"], client)
			n := 0
			for ; ctx.Err() == nil || n < 3; n++ {
				if err := errors.Join(good(), late()); err != nil {
					t.Fatalf("after %d exchanges: %v", n, err)
				}
			}
			strangers.Wait()
			if peak := peakMemory(t, s.cmd.Process.Pid); peak > hostileMemory {
				t.Errorf("the device occupied %d MiB", peak>>20)
			} else {
				t.Logf("%d exchanges of two good pairs; %d MiB at most, %d lines of log", n, peak>>20, len(s.entries("a peer was ended")))
			}
			until(t, "all strangers are gone", func() bool { return descriptors(t, s) < 60 })
			s.stop()
		})
	}
}

// curveHello returns what a client of CURVE says first: its greeting and its HELLO, which any server with the key believes.
func curveHello(t *testing.T, client zmtp.CurveClient) string {
	t.Helper()
	said := make(chan string, 1)
	at := listener(t, func(conn *net.TCPConn) {
		io.WriteString(conn, strings.Replace(zmqGreeting[:32], "NULL\x00", "CURVE", 1)+"\x01"+zmqGreeting[33:])
		b := make([]byte, 64+2+200)
		if _, err := io.ReadFull(conn, b); err == nil {
			said <- string(b)
		}
	})
	c := new(zmtp.Context)
	defer c.Close()
	s, err := c.NewSocket(zmtp.PUSH, &zmtp.Options{Security: client, Linger: -1})
	if err == nil {
		err = s.Connect("tcp://" + at)
	}
	if err != nil {
		t.Fatal(err)
	}
	return <-said
}

// attacks are what hostile peers do, each for one connection.
func (device abusedDevice) attacks(front, back string) []func(context.Context) {
	large := zmqFrame(0, strings.Repeat("x", 1<<20))
	if device.front == "DEALER" {
		large = zmqFrame(1, "") + large // what a REP takes for a request
	}
	floods := func(ctx context.Context) { zmqSays(ctx, front, device.front, large, large) }
	unfinished := func(ctx context.Context) {
		zmqSays(ctx, front, device.front, string(binary.BigEndian.AppendUint64([]byte{2}, 1<<20))+strings.Repeat("x", 1<<20-1), "")
	}
	all := []func(context.Context){floods, unfinished}
	if device.workers {
		return all
	}
	subscribes := ""
	if device.back == "SUB" {
		subscribes = zmqFrame(4, "\x09SUBSCRIBE")
		all = append(all, func(ctx context.Context) {
			var b strings.Builder
			for range 2000 {
				b.WriteString(zmqFrame(4, "\x09SUBSCRIBE"+numbered("########")+strings.Repeat("x", 100)))
			}
			zmqSays(ctx, back, "SUB", b.String(), b.String())
		})
	}
	return append(all, func(ctx context.Context) { zmqSays(ctx, back, device.back, subscribes, "") })
}

// zmqSays connects a peer of a type that reads nothing. It says one thing once, and another one again and again unless that is
// empty, until the device or the attack ends it.
func zmqSays(ctx context.Context, address, typ, once, again string) {
	d := net.Dialer{Timeout: time.Second}
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		time.Sleep(10 * time.Millisecond)
		return
	}
	defer conn.Close()
	conn.(*net.TCPConn).SetReadBuffer(4 << 10)
	until, _ := ctx.Deadline()
	conn.SetDeadline(until)
	ready := zmqFrame(4, "\x05READY\x0bSocket-Type\x00\x00\x00"+string(rune(len(typ)))+typ)
	if _, err := conn.Write([]byte(greeting[:64] + ready + once)); err != nil {
		return
	}
	for again != "" {
		if _, err := conn.Write([]byte(again)); err != nil {
			return
		}
	}
	select { // its deadline would only be seen by a Read
	case <-ctx.Done():
	case <-time.After(200 * time.Millisecond):
	}
}

// goodPair is a sender and a receiver that mean well. What one sends the other must receive: where the pattern may give it to others
// or drop it, it is sent again until it has come.
func goodPair(t *testing.T, device abusedDevice, front, back string, security zmtp.Security) func() error {
	t.Helper()
	c := new(zmtp.Context)
	t.Cleanup(func() { c.Close() })
	sender, err1 := c.NewSocket(device.sender, &zmtp.Options{Linger: -1, Security: security, ReqRelaxed: device.sender == zmtp.REQ})
	receiver, err2 := c.NewSocket(device.receiver, &zmtp.Options{Linger: -1, Security: security})
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	if device.receiver == zmtp.SUB {
		if err := receiver.Subscribe("the good one's"); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(sender.Connect("tcp://"+front), receiver.Connect("tcp://"+back)); err != nil {
		t.Fatal(err)
	}
	answered := make(chan string, 100)
	heard := answered // what has come to the receiver, or back from it
	if device.sender == zmtp.REQ {
		heard = make(chan string)
	}
	go func() {
		for {
			m, err := receiver.Recv()
			if err != nil {
				return
			}
			if text := string(m[0]); strings.HasPrefix(text, "the good one's") {
				select {
				case heard <- text:
				default:
				}
			}
			if device.receiver == zmtp.REP && receiver.Send(m...) != nil {
				return
			}
		}
	}()
	again := 20 * time.Millisecond
	if device.sender == zmtp.REQ { // a reply is what must come
		again = time.Second
		go func() {
			for {
				m, err := sender.Recv()
				switch {
				case errors.Is(err, zmtp.ErrClosed):
					return
				case errors.Is(err, zmtp.ErrState): // nothing was asked, or the answer has come
					time.Sleep(time.Millisecond)
				case err == nil:
					answered <- string(m[0])
				}
			}
		}()
	}
	n := 0
	return func() error {
		n++
		text := fmt.Sprintf("the good one's message %d", n)
		end := time.After(patience + *hostileFor)
		for {
			if err := sender.TrySend(&zmtp.Message{Parts: [][]byte{[]byte(text)}}); err != nil && err != zmtp.ErrWouldBlock {
				return err
			}
			select {
			case got := <-answered:
				if got == text {
					return nil
				}
			case <-time.After(again):
			case <-end:
				return fmt.Errorf("%q has not come", text)
			}
		}
	}
}
