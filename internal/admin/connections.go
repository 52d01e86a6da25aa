package admin

import (
	"cmp"
	"container/heap"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/switchboard-go/switchboard"
)

// mostListed is how many connections an answer has at most.
const mostListed = 1000

// answerTimeout is how long the loops may take to tell what belongs to them of the listed connections.
const answerTimeout = 250 * time.Millisecond

// A Connection is what /connections tells of one.
type Connection struct {
	ID       string  `json:"id"`
	Server   string  `json:"server,omitempty"`
	Remote   string  `json:"remote"`
	Listener string  `json:"listener,omitempty"` // empty: it was dialled
	Loop     int     `json:"loop"`
	State    string  `json:"state"` // "held" if a handler holds the loop
	Handler  string  `json:"handler,omitempty"`
	TLS      string  `json:"tls,omitempty"`
	Age      float64 `json:"age"` // seconds
	Received int64   `json:"received"`
	Sent     int64   `json:"sent"`
	Queued   int     `json:"queued"`
	Paused   string  `json:"paused,omitempty"` // why it is not read

	conn *switchboard.Conn
}

// orders are what ?by= can be: the connections with the most come first.
var orders = map[string]func(c *switchboard.Conn) int64{
	"queue":    func(c *switchboard.Conn) int64 { return int64(c.Queued()) },
	"age":      func(c *switchboard.Conn) int64 { return int64(c.Age()) },
	"bytes":    func(c *switchboard.Conn) int64 { return c.Received() + c.Sent() },
	"received": (*switchboard.Conn).Received,
	"sent":     (*switchboard.Conn).Sent,
}

// walking is held by who looks through all connections: one at a time.
var walking sync.Mutex

// ranked are the best so far, the worst of them first: a heap.
type ranked []rank

type rank struct {
	server string
	conn   *switchboard.Conn
	value  int64
}

func (r ranked) Len() int           { return len(r) }
func (r ranked) Less(i, j int) bool { return r[i].value < r[j].value }
func (r ranked) Swap(i, j int)      { r[i], r[j] = r[j], r[i] }
func (r *ranked) Push(x any)        { *r = append(*r, x.(rank)) }
func (r *ranked) Pop() any {
	last := (*r)[len(*r)-1]
	*r = (*r)[:len(*r)-1]
	return last
}

// list returns the n connections with the most by an order, those that are paused only if that is asked for, and how many there
// are. It takes memory for n of them, and for a list of one loop's at a time.
func (a *Admin) list(by func(*switchboard.Conn) int64, n int, paused bool) (list []Connection, all int) {
	walking.Lock()
	defer walking.Unlock()
	var best ranked
	for _, s := range a.config.Servers {
		name := ""
		if len(a.config.Servers) > 1 {
			name = s.Name
		}
		for c := range s.Conns() {
			if paused && c.PausedBy() == "" {
				continue
			}
			all++
			if r := (rank{name, c, by(c)}); len(best) < n {
				heap.Push(&best, r)
			} else if best[0].value < r.value {
				best[0] = r
				heap.Fix(&best, 0)
			}
		}
	}
	slices.SortStableFunc(best, func(x, y rank) int {
		return cmp.Or(cmp.Compare(y.value, x.value), cmp.Compare(y.conn.Age(), x.conn.Age()))
	})
	return describe(best), all
}

// describe tells what is known of connections. What belongs to their loops is asked of them, all at once.
func describe(best ranked) []Connection {
	list := make([]Connection, 0, len(best))
	for _, r := range best {
		c := r.conn
		k := Connection{ID: idOf(c), Server: r.server, Remote: c.RemoteAddr().String(), Loop: c.Loop(), State: "held", Age: c.Age().Seconds(),
			Received: c.Received(), Sent: c.Sent(), Queued: c.Queued(), Paused: c.PausedBy(), conn: c}
		if at := c.Origin(); at != nil {
			k.Listener = at.String()
		}
		if k.Remote == "" {
			k.Remote = "unix"
		}
		list = append(list, k)
	}
	type answer struct {
		i                   int
		state, handler, tls string
	}
	answers := make(chan answer, len(list)) // nobody waits to answer, also when nobody listens any more
	asked := 0
	for i := range list {
		c := list[i].conn
		err := c.Do(func() {
			told := answer{i: i, state: c.State()}
			if h := c.Handler(); h != nil {
				told.handler = fmt.Sprintf("%T", h)
			}
			if state := c.TLS(); state != nil && state.HandshakeComplete {
				told.tls = tls.VersionName(state.Version) + ", " + tls.CipherSuiteName(state.CipherSuite)
			}
			answers <- told
		})
		if err != nil {
			list[i].State = "gone"
			continue
		}
		asked++
	}
	limit := time.After(answerTimeout)
	for range asked {
		select {
		case told := <-answers:
			k := &list[told.i]
			k.State, k.Handler, k.TLS = told.state, told.handler, told.tls
		case <-limit: // those that ended meanwhile never answer
			return dropGone(list)
		}
	}
	return dropGone(list)
}

// dropGone leaves out the connections that ended while they were listed.
func dropGone(list []Connection) []Connection {
	return slices.DeleteFunc(list, func(k Connection) bool {
		return k.State == "gone" || k.State == "held" && k.conn.Do(func() {}) != nil
	})
}

var seed = maphash.MakeSeed()

// idOf returns what names a connection in requests: it stays the same while c lives, and tells nobody where c is.
func idOf(c *switchboard.Conn) string {
	return strconv.FormatUint(maphash.Comparable(seed, struct {
		c      *switchboard.Conn
		remote string
	}{c, c.RemoteAddr().String()}), 36)
}

// find returns the connection with an id, nil if there is none.
func (a *Admin) find(id string) *switchboard.Conn {
	walking.Lock()
	defer walking.Unlock()
	for _, s := range a.config.Servers {
		for c := range s.Conns() {
			if idOf(c) == id {
				return c
			}
		}
	}
	return nil
}

// A listing is what /connections answers.
type listing struct {
	By          string       `json:"by"`
	Of          int          `json:"of"` // connections there are, or those that are paused
	Paused      bool         `json:"paused"`
	Write       bool         `json:"write"`
	Connections []Connection `json:"connections"`
}

// serveConnections answers with the connections that have the most: ?by= is one of orders, ?n= how many, and ?paused=1 is for
// those alone that are not read. Browsers get a page.
func (a *Admin) serveConnections(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	l := listing{By: cmp.Or(q.Get("by"), "queue"), Paused: q.Get("paused") == "1", Write: a.config.Write}
	by, ok := orders[l.By]
	n, err := strconv.Atoi(cmp.Or(q.Get("n"), "100"))
	if !ok || err != nil || n < 1 || n > mostListed {
		http.Error(w, fmt.Sprintf("by=%q&n=%q: by is queue, age, bytes, received or sent, and n is 1 to %d", l.By, q.Get("n"), mostListed),
			http.StatusBadRequest)
		return
	}
	l.Connections, l.Of = a.list(by, n, l.Paused)
	if q.Get("format") != "json" && strings.Contains(r.Header.Get("Accept"), "text/html") {
		setPage(w)
		connectionsPage.Execute(w, l)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.Encode(l)
}
