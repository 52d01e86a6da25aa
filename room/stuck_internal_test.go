package room

import (
	"fmt"
	"testing"
)

// BenchmarkStuck tells what a member that never reads costs for each message: no call of its connection, and no memory.
func BenchmarkStuck(b *testing.B) {
	for _, policy := range []Policy{DropOldest, DropNewest, KeepLatest} {
		for _, members := range []int{1, 1000} {
			b.Run(fmt.Sprintf("%v/%d members", policy, members), func(b *testing.B) {
				loop := new(handLoop)
				hub := &Hub{Options: Options{Policy: policy}}
				var all []*handLink
				for range members {
					l := &handLink{loop: loop}
					if _, err := hub.Member(l, line, "").Join("room", nil); err != nil {
						b.Fatal(err)
					}
					all = append(all, l)
				}
				r, err := hub.Room("room")
				if err != nil {
					b.Fatal(err)
				}
				publish := func() {
					if _, err := r.Publish(Message{Key: "k", Data: make([]byte, 64)}); err != nil {
						b.Fatal(err)
					}
					loop.run()
				}
				for range 2000 { // until the queues are full
					publish()
				}
				b.ReportAllocs()
				before := all[0].sends
				for b.Loop() {
					publish()
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(members), "ns/member")
				if all[0].sends != before {
					b.Errorf("a stuck member is sent something %d times", all[0].sends-before)
				}
			})
		}
	}
}
