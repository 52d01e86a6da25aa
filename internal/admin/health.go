package admin

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/switchboard-go/switchboard/metrics"
)

// healthTimeout is how long the loops may take to answer.
const healthTimeout = 2 * time.Second

// A pulse asks the loops of one server whether they turn. Each loop has at most one question at a time, however often and for
// how long it is asked.
type pulse struct {
	mu    sync.Mutex
	asked map[int]chan struct{} // closed when the loop has answered
}

// held returns the loops that did not answer in time. Loops that have ended are not asked.
func (p *pulse) held(s Server) (loops []string) {
	p.mu.Lock()
	if p.asked == nil {
		p.asked = map[int]chan struct{}{}
	}
	answers := map[int]chan struct{}{}
	for i := range s.Stats().Loops {
		answer := p.asked[i]
		if answer == nil || isClosed(answer) {
			answer = make(chan struct{})
			if s.Do(i, func() { close(answer) }) != nil {
				continue
			}
			p.asked[i] = answer
		}
		answers[i] = answer
	}
	p.mu.Unlock()
	limit := time.After(healthTimeout)
	late := false
	for i := range len(s.Stats().Loops) {
		answer := answers[i]
		if answer == nil {
			continue
		}
		if !late {
			select {
			case <-answer:
			case <-limit:
				late = true
			}
		}
		if !isClosed(answer) {
			loops = append(loops, strings.TrimSpace(fmt.Sprintf("%s loop %d", s.Name, i)))
		}
	}
	return loops
}

func isClosed(ch chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

// serveHealth tells whether all loops turn.
func (a *Admin) serveHealth(w http.ResponseWriter, _ *http.Request) {
	var held []string
	for i := range a.config.Servers {
		held = append(held, a.pulses[i].held(a.config.Servers[i])...)
	}
	if len(held) > 0 {
		http.Error(w, "a handler holds "+strings.Join(held, ", "), http.StatusServiceUnavailable)
		return
	}
	io.WriteString(w, "ok\n")
}

// serveReadiness tells whether new connections are welcome.
func (a *Admin) serveReadiness(w http.ResponseWriter, _ *http.Request) {
	if why := a.unready(); why != "" {
		http.Error(w, why, http.StatusServiceUnavailable)
		return
	}
	io.WriteString(w, "ready\n")
}

// unready tells why new connections are not welcome, "" if they are.
func (a *Admin) unready() string {
	listens := false
	for _, s := range a.config.Servers {
		st := s.Stats()
		if st.Leaving {
			return "draining"
		}
		for _, o := range st.Origins {
			if o.Short {
				return "no descriptors left: a connection waits at " + cmp.Or(o.Addr.String(), "a socket")
			}
			listens = listens || o.Accepting
		}
	}
	if p := metrics.ReadProcess(); p.Descriptors > 0 && p.MaxDescriptors > 0 && p.Descriptors >= p.MaxDescriptors {
		return fmt.Sprintf("no descriptors left: %d of %d are open", p.Descriptors, p.MaxDescriptors)
	}
	if !listens {
		return "not listening"
	}
	return ""
}
