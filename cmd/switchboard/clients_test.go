package main

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard/socket"
)

func TestAThousandClientsAtOnceGetEveryByteBack(t *testing.T) {
	inModes(t, append([]string{"goroutines", "processes"}, eventModes...), func(t *testing.T, mode string) {
		const rounds, size = 3, 5_000
		clients := 1100 // more than FD_SETSIZE
		if testing.Short() {
			clients = 100
		}
		s := serve(t, "echo", "--mode", mode, "--quiet")
		first := client(t, s)
		echoes(t, first, []byte("hello"))
		before := descriptors(t, s)
		conns := make([]net.Conn, clients)
		for i := range conns {
			conns[i] = client(t, s)
			echoes(t, conns[i], []byte{byte(i)}) // the server has accepted it
		}
		var all sync.WaitGroup
		for i, conn := range conns {
			all.Go(func() {
				for round := range rounds {
					if err := roundTrip(conn, noise(uint32(i*rounds+round), size)); err != nil {
						t.Errorf("client %d: %v", i, err)
						return
					}
				}
				conn.Close()
			})
		}
		all.Wait()
		const spare = 8 // for what a worker opens when its first client comes
		until(t, "the server has closed what it opened", func() bool { return descriptors(t, s) <= before+spare })
	})
}

func TestAResettingClientDisturbsNobody(t *testing.T) {
	inEveryMode(t, func(t *testing.T, mode string) {
		s := serve(t, "echo", "--mode", mode)
		for i := range 20 {
			rude := client(t, s)
			rude.SetLinger(0)
			if i%2 == 0 {
				rude.Write(noise(uint32(i), 1_000_000/(i+1)))
			}
			rude.Close()
		}
		conn := client(t, s)
		echoes(t, conn, noise(1, 100_000))
		conn.Close()
		s.await("disconnected", 21)
	})
}

// A client that sends and does not read is read from until its queue is full, and no further. It gets everything back
// once it reads, and the others notice nothing.
func TestAStalledClientIsBoundedAndStopsNobody(t *testing.T) {
	inModes(t, append([]string{"goroutines", "processes"}, eventModes...), func(t *testing.T, mode string) {
		s := serve(t, "echo", "--mode", mode)
		stalled := client(t, s)
		const endless = 64 << 20 // more than all the buffers between the two can hold
		said := noise(7, endless)
		taken := 0
		for taken < endless {
			stalled.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
			n, err := stalled.Write(said[taken:])
			taken += n
			if err != nil {
				break
			}
		}
		if taken == endless {
			t.Fatalf("the server took %d bytes that nobody reads back", taken)
		}
		for i := range 5 {
			conn := client(t, s)
			echoes(t, conn, noise(uint32(i), 200_000))
			conn.Close()
		}
		stalled.SetDeadline(time.Now().Add(patience))
		stalled.CloseWrite()
		if heard, err := io.ReadAll(stalled); err != nil || !bytes.Equal(heard, said[:taken]) {
			t.Errorf("got %d bytes back of %d, %v", len(heard), taken, err)
		}
	})
}

func TestChargenDoesNotGrowForClientsThatNeverRead(t *testing.T) {
	inModes(t, append([]string{"goroutines"}, eventModes...), func(t *testing.T, mode string) {
		s := serve(t, "chargen", "--mode", mode)
		const clients = 20
		for range clients {
			conn := client(t, s)
			conn.SetReadBuffer(4096)
			conn.Write(noise(1, 100_000)) // thrown away, all the same
		}
		s.await("connected", clients)
		before := resident(t, s)
		// In the time of this look a queue without limit grows by gigabytes.
		for began := time.Now(); time.Since(began) < 300*time.Millisecond; time.Sleep(10 * time.Millisecond) {
			if now := resident(t, s); now > before+32<<20 {
				t.Fatalf("grown from %d MB to %d MB", before>>20, now>>20)
			}
		}
	})
}

func TestSlowClientsAreServedByteByByte(t *testing.T) {
	inEveryMode(t, func(t *testing.T, mode string) {
		s := serve(t, "echo", "--mode", mode)
		conn := client(t, s)
		for _, b := range noise(3, 300) {
			echoes(t, conn, []byte{b})
		}
		conn.CloseWrite()
		if rest, err := io.ReadAll(conn); err != nil || len(rest) != 0 {
			t.Errorf("after the end: %q, %v", rest, err)
		}
	})
}

// Urgent data has no meaning for echo, but it is an event of its own for select.
func TestUrgentDataEndsNothingAndSpinsNothing(t *testing.T) {
	inModes(t, append([]string{"goroutines"}, eventModes...), func(t *testing.T, mode string) {
		s := serve(t, "echo", "--mode", mode)
		addr, err := socket.ParseAddr(s.addrs[0])
		if err != nil {
			t.Fatal(err)
		}
		conn, err := socket.New(addr.Family(), socket.SOCK_STREAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetTimeout(patience)
		if err := conn.Connect(addr); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if _, err := conn.SendFlags([]byte("!"), socket.MSG_OOB); err != nil {
				t.Fatal(err)
			}
			if err := roundTrip(conn, []byte("hello")); err != nil {
				t.Fatal(err)
			}
		}
		spinsNot(t, s)
	})
}
