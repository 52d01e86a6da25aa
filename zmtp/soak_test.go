package zmtp_test

import (
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard/zmtp"
)

var soak = flag.Duration("soak", time.Second, "how long TestSoak lasts")

// Sockets of every kind come, talk and go, in every order, beside peers that send rubbish. No message comes changed, in the
// wrong order or twice, nothing is left over.
func TestSoak(t *testing.T) {
	before := heap()
	func() {
		c := &zmtp.Context{}
		defer c.Close()
		end := time.Now().Add(*soak)
		var wg sync.WaitGroup
		for seed := range uint64(6) {
			wg.Go(func() {
				rng := rand.New(rand.NewPCG(seed, uint64(time.Now().UnixNano())))
				for n := 0; time.Now().Before(end) && !t.Failed(); n++ {
					soakOnce(t, c, rng, fmt.Sprintf("%d-%d", seed, n))
				}
			})
		}
		wg.Wait()
	}()
	eventually(t, "the memory is given back", func() bool { return heap() < before+8<<20 })
}

// soakOnce has some PUSHes or DEALERs send to some PULLs or DEALERs for a moment.
func soakOnce(t *testing.T, c *zmtp.Context, rng *rand.Rand, name string) {
	o := zmtp.Options{SendHighWater: 1 + rng.IntN(50), RecvHighWater: 1 + rng.IntN(50), Linger: []time.Duration{-1, time.Millisecond, 50 * time.Millisecond}[rng.IntN(3)],
		ReconnectMin: time.Millisecond, ReconnectMax: 5 * time.Millisecond, Version30: rng.IntN(2) == 0}
	if rng.IntN(3) == 0 {
		o.HeartbeatInterval = 20 * time.Millisecond
		o.HeartbeatTimeout = 10 * time.Second
	}
	theirs := o
	if rng.IntN(4) == 0 {
		public, secret := zmtp.NewKeyPair()
		o.Security, theirs.Security = zmtp.CurveServer{SecretKey: secret}, zmtp.CurveClient{ServerKey: public}
	}
	from, to := zmtp.PUSH, zmtp.PULL
	if rng.IntN(2) == 0 {
		from, to = zmtp.DEALER, zmtp.DEALER
	}
	sink, err := c.NewSocket(to, &o)
	if err != nil {
		t.Error(err)
		return
	}
	endpoint := "tcp://127.0.0.1:*"
	if rng.IntN(3) == 0 {
		endpoint = "inproc://" + name
	}
	at, err := sink.Bind(endpoint)
	if err != nil {
		t.Error(err)
		return
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	last := map[uint32]uint32{}
	for range 1 + rng.IntN(2) {
		wg.Go(func() {
			for {
				parts, err := sink.Recv()
				if err != nil {
					if !errors.Is(err, zmtp.ErrClosed) {
						t.Error(err)
					}
					return
				}
				head, body := parts[0], parts[len(parts)-1]
				if len(head) != 12 || crc32.ChecksumIEEE(body) != binary.BigEndian.Uint32(head[8:]) {
					t.Errorf("a message came changed: %d parts, %d bytes", len(parts), len(body))
					return
				}
				mu.Lock()
				who, n := binary.BigEndian.Uint32(head), binary.BigEndian.Uint32(head[4:])
				if _, known := last[who]; !known || n > last[who] {
					last[who] = n
				}
				mu.Unlock()
			}
		})
	}
	for who := range 1 + rng.IntN(3) {
		source, err := c.NewSocket(from, &theirs)
		if err != nil {
			t.Error(err)
			break
		}
		source.SetSendDeadline(time.Now().Add(20 * time.Millisecond))
		count, seed := rng.IntN(200), rng.Uint64()
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(seed, 0))
			if err := source.Connect(at); err != nil {
				t.Error(err)
			}
			for n := range count {
				body := make([]byte, rng.IntN(1<<rng.IntN(18)))
				for i := 0; i < len(body); i += 100 {
					body[i] = byte(rng.Uint32())
				}
				head := binary.BigEndian.AppendUint32(nil, uint32(who))
				head = binary.BigEndian.AppendUint32(head, uint32(n))
				head = binary.BigEndian.AppendUint32(head, crc32.ChecksumIEEE(body))
				if source.Send(head, nil, body) != nil {
					break
				}
				if rng.IntN(100) == 0 {
					source.Disconnect(at)
					source.Connect(at)
				}
			}
			source.Close()
		})
	}
	if strings.HasPrefix(at, "tcp") && rng.IntN(2) == 0 {
		if conn, err := net.Dial("tcp", strings.TrimPrefix(at, "tcp://")); err == nil {
			rubbish := []byte(hello(1, "NULL") + ready("PUSH"))
			for range rng.IntN(300) {
				rubbish = append(rubbish, byte(rng.Uint32()))
			}
			rubbish[rng.IntN(len(rubbish))] ^= byte(rng.Uint32())
			conn.Write(rubbish)
			conn.Close()
		}
	}
	time.Sleep(time.Duration(rng.IntN(40)) * time.Millisecond)
	sink.Close()
	wg.Wait()
}
