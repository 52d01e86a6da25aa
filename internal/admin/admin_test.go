package admin

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
)

// patience is how long a test waits for what must come.
const patience = 60 * time.Second

// serve serves with h on one loop until the test ends, and returns an Admin that looks at it.
func serve(t *testing.T, h switchboard.Handler) (a *Admin, address string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &switchboard.Server{Handler: h, Loops: 1, SlowCall: -1, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	a = New(Config{Servers: []Server{{Server: s, Name: "test"}}, Service: "test", Logger: s.Logger})
	t.Cleanup(func() {
		a.Close()
		s.Close()
		if err := <-served; !errors.Is(err, switchboard.ErrServerClosed) {
			t.Error(err)
		}
	})
	return a, l.Addr().String()
}

func dial(t *testing.T, address, message string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, message); err != nil {
		t.Fatal(err)
	}
	return conn
}

func ask(a *Admin, path string) (status int, body string) {
	answer := httptest.NewRecorder()
	r := httptest.NewRequest("GET", path, nil)
	r.Host = "127.0.0.1"
	a.Handler().ServeHTTP(answer, r)
	return answer.Code, answer.Body.String()
}

func list(t *testing.T, a *Admin, path string) (l listing) {
	t.Helper()
	status, body := ask(a, path)
	if err := json.Unmarshal([]byte(body), &l); status != 200 || err != nil {
		t.Fatalf("%d %s: %v", status, body, err)
	}
	return l
}

func TestAServerWhoseLoopIsHeldIsNotHealthy(t *testing.T) {
	held, release := make(chan struct{}, 1), make(chan struct{})
	a, address := serve(t, switchboard.DataFunc(func(c *switchboard.Conn, p []byte) (int, error) {
		held <- struct{}{}
		<-release
		return c.Write(p)
	}))
	conn := dial(t, address, "x")
	<-held
	for range 2 { // it is asked once, however often the question is put
		if status, body := ask(a, "/healthz"); status != 503 || !strings.Contains(body, "test loop 0") {
			t.Errorf("%d %s", status, body)
		}
	}
	if n := a.config.Servers[0].Stats().Waiting; n > 1 {
		t.Errorf("%d questions wait", n)
	}
	if l := list(t, a, "/connections"); len(l.Connections) != 1 || l.Connections[0].State != "held" || l.Connections[0].Remote != conn.LocalAddr().String() {
		t.Errorf("%+v", l)
	}
	close(release)
	if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	for limit := time.Now().Add(patience); ; {
		status, body := ask(a, "/healthz")
		if status == 200 {
			break
		}
		if time.Now().After(limit) {
			t.Fatalf("%d %s", status, body)
		}
	}
}

func TestTheConnectionsWithTheMostAreListed(t *testing.T) {
	a, address := serve(t, switchboard.DataFunc((*switchboard.Conn).Write))
	var want []string
	for i := range 20 {
		message := strings.Repeat("x", 100*(i*7%20+1))
		conn := dial(t, address, message)
		if _, err := io.ReadFull(conn, make([]byte, len(message))); err != nil {
			t.Fatal(err)
		}
		want = append(want, conn.LocalAddr().String())
	}
	byBytes := make([]string, 20)
	for i, remote := range want {
		byBytes[19-i*7%20] = remote
	}
	remotes := func(l listing) (all []string) {
		for _, c := range l.Connections {
			all = append(all, c.Remote)
		}
		return all
	}
	l := list(t, a, "/connections?by=bytes&n=7")
	if got := remotes(l); !slices.Equal(got, byBytes[:7]) || l.Of != 20 {
		t.Errorf("%v of %d, and not %v", got, l.Of, byBytes[:7])
	}
	again := list(t, a, "/connections?by=received&n=1000")
	if got := remotes(again); !slices.Equal(got, byBytes) {
		t.Errorf("%v, and not %v", got, byBytes)
	}
	ids := map[string]bool{}
	for i, c := range again.Connections {
		ids[c.ID] = true
		if i < 7 && c.ID != l.Connections[i].ID || a.find(c.ID) == nil || c.Handler != "switchboard.DataFunc" || c.State != "open" || c.Received != c.Sent {
			t.Errorf("%+v", c)
		}
	}
	if len(ids) != 20 || a.find("x") != nil {
		t.Errorf("%d names", len(ids))
	}
	if l := list(t, a, "/connections?paused=1"); l.Of != 0 || len(l.Connections) != 0 {
		t.Errorf("%+v", l)
	}
	if status, body := ask(a, "/readyz"); status != 200 {
		t.Errorf("%d %s", status, body)
	}
}

// FuzzHost checks that no name reaches an admin without a token but localhost.
func FuzzHost(f *testing.F) {
	for _, host := range []string{"", "localhost", "localhost:80", "127.0.0.1", "[::1]:80", "::1", "evil.example", "127.0.0.1.evil.example", "[::1", "[localhost]"} {
		f.Add(host)
	}
	f.Fuzz(func(t *testing.T, host string) {
		if !namesAddress(host) {
			return
		}
		name := strings.Trim(host, "[]")
		if h, _, err := net.SplitHostPort(host); err == nil {
			name = strings.Trim(h, "[]")
		}
		name, _, _ = strings.Cut(name, "%")
		if name != "" && !strings.EqualFold(name, "localhost") && net.ParseIP(name) == nil {
			t.Errorf("%q", host)
		}
	})
}
