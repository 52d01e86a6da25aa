package zmtp_test

import (
	"strconv"
	"sync"
	"testing"

	"github.com/switchboard-go/switchboard/zmtp"
)

// Each sends more than all queues between the two hold before it receives anything of the other's.
func TestTwoThatFloodEachOtherDoNotWaitForEachOther(t *testing.T) {
	overTransports(t, func(t *testing.T, endpoint string) {
		c := newContext(t)
		a, b := socketOf(t, c, zmtp.DEALER, nil), socketOf(t, c, zmtp.DEALER, nil)
		connect(t, b, bind(t, a, endpoint))
		const n = 3000
		var wg sync.WaitGroup
		for _, s := range []*zmtp.Socket{a, b} {
			wg.Go(func() {
				for i := range n {
					if err := s.Send([]byte(strconv.Itoa(i)), make([]byte, 10_000)); err != nil {
						t.Error(err)
						return
					}
				}
			})
			wg.Go(func() {
				for i := range n {
					if parts, err := s.Recv(); err != nil || string(parts[0]) != strconv.Itoa(i) {
						t.Errorf("message %d: %.20q, %v", i, parts, err)
						return
					}
				}
			})
		}
		wg.Wait()
	})
}
