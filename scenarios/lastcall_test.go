package scenarios

import (
	"context"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
)

// Who has connected when Shutdown begins is served, even if the loop was too busy to accept it until then.
func TestShutdownServesWhoHasConnectedAlready(t *testing.T) {
	for _, loops := range []int{1, 2} {
		t.Run(fmt.Sprint(loops, " loops"), func(t *testing.T) {
			inTheClear(t, func(t *testing.T, s *switchboard.Server) {
				s.Loops, s.SlowCall = loops, -1
				holds, release := make(chan bool), make(chan bool)
				var once sync.Once
				s.Accept = everyone(switchboard.DataFunc(func(c *switchboard.Conn, p []byte) (int, error) {
					once.Do(func() {
						holds <- true
						<-release
					})
					return c.Write(p)
				}))
				address := start(t, s)
				first := call(t, address)
				first.says("hold")
				next(t, holds)
				var peers []peer
				for i := range 50 {
					p := call(t, address)
					p.says(fmt.Sprint("hello ", i))
					peers = append(peers, p)
				}
				shut := make(chan error, 1)
				go func() { shut <- s.Shutdown(context.Background()) }()
				eventually(t, "nobody more is to be served", func() bool {
					_, err := s.Dial(context.Background(), address, echo)
					return err != nil
				})
				close(release)
				for i, p := range peers {
					p.hearsEnd(fmt.Sprint("hello ", i))
					p.Close()
				}
				first.hearsEnd("hold")
				first.Close()
				if err := next(t, shut); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// A patient handler lets its connection live on when the server shuts down.
type patient struct{ *watched }

func (patient) Leaving(*switchboard.Conn) {}

func TestShutdownAsksTheHandlersThatAPipeReplaced(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		h := patient{watch(nil)}
		pair := make(chan *switchboard.Conn, 2)
		s.Accept = func(c *switchboard.Conn) (switchboard.Handler, error) {
			pair <- c
			return h, nil
		}
		address := start(t, s)
		one, other := call(t, address), call(t, address)
		a, b := next(t, pair), next(t, pair)
		joined := make(chan bool)
		a.Do(func() {
			switchboard.Pipe(a, b)
			close(joined)
		})
		<-joined
		shut := make(chan error, 1)
		go func() { shut <- s.Shutdown(context.Background()) }()
		stays(t, "the line is there", func() bool { return len(shut) == 0 })
		one.says("still here?")
		got := make([]byte, len("still here?"))
		other.SetReadDeadline(time.Now().Add(patience))
		if _, err := io.ReadFull(other, got); err != nil || string(got) != "still here?" {
			t.Errorf("heard %q, %v", got, err)
		}
		one.Close()
		other.hearsEnd("")
		other.Close()
		if err := next(t, shut); err != nil {
			t.Error(err)
		}
	})
}
