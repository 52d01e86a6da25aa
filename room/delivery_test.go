package room_test

import (
	"encoding/binary"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard/room"
)

// timed is messages of eight bytes, which say when they were published.
var timed = &room.Form{Encode: func(b []byte, m *room.Message) []byte {
	if m.Seq == 0 {
		return nil
	}
	return append(b, m.Data...)
}}

// BenchmarkDelivery publishes to two rooms of a thousand members in turn, of which one has ten more that never read, and tells how
// long all but the slowest ten members wait. "x" is the median of how many times longer that is in the room with those who never
// read, of publications that follow each other: what else the machine does meets both alike.
func BenchmarkDelivery(b *testing.B) {
	const members = 1000
	type delivery struct {
		room stuck
		took []time.Duration
	}
	rooms := []*delivery{{}, {}}
	var mu sync.Mutex
	arrived := make(chan bool, members)
	for i, d := range rooms {
		hub := &room.Hub{Options: room.Options{Queue: 64 << 10, Policy: room.DropOldest}}
		d.room = stuckRoom(b, hub, 10*i, timed)
		for range members {
			c, err := net.Dial("tcp", d.room.address)
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { c.Close() })
			go func() {
				for p := make([]byte, 8); ; {
					if _, err := io.ReadFull(c, p); err != nil {
						return
					}
					took := time.Since(time.Unix(0, int64(binary.BigEndian.Uint64(p))))
					mu.Lock()
					d.took = append(d.took, took)
					mu.Unlock()
					arrived <- true
				}
			}()
			if err := <-d.room.joined; err != nil {
				b.Fatal(err)
			}
		}
	}
	publish := func(d *delivery) {
		if _, err := d.room.Publish(room.Message{Data: binary.BigEndian.AppendUint64(nil, uint64(time.Now().UnixNano()))}); err != nil {
			b.Fatal(err)
		}
		for range members {
			<-arrived
		}
	}
	for range 4000 / 8 { // until those who never read are stuck
		publish(rooms[1])
	}
	var p99 [2][]float64 // of each publication
	var times []float64
	for n := 0; b.Loop(); n++ {
		for i := range rooms {
			i ^= n & 1 // each goes first as often
			mu.Lock()
			rooms[i].took = rooms[i].took[:0]
			mu.Unlock()
			publish(rooms[i])
			mu.Lock()
			slices.Sort(rooms[i].took)
			p99[i] = append(p99[i], float64(rooms[i].took[members*99/100]))
			mu.Unlock()
		}
		times = append(times, p99[1][n]/p99[0][n])
	}
	b.ReportMetric(median(p99[0])/1e6, "ms-p99")
	b.ReportMetric(median(p99[1])/1e6, "ms-p99-with-ten-stuck")
	b.ReportMetric(median(times), "x")
}

func median(all []float64) float64 {
	slices.Sort(all)
	return all[len(all)/2]
}
