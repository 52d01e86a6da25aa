package natsroom_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	_ "unsafe" // for go:linkname

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/switchboard-go/switchboard/room"
	"github.com/switchboard-go/switchboard/room/natsroom"
)

// A clusterMember is one server of a cluster with JetStream.
type clusterMember struct {
	Name, Dir string
	Routes    []string // addresses
	Advertise string   // the address for routes that the others are told
}

func (m clusterMember) start() (*server.Server, error) {
	o := &server.Options{ServerName: m.Name, Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, Debug: true, Logtime: true, LogFile: "/tmp/h/rooms/log-" + m.Name, JetStream: true, StoreDir: m.Dir,
		JetStreamMaxMemory: 64 << 20, JetStreamMaxStore: 256 << 20,
		Cluster: server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: server.RANDOM_PORT, NoAdvertise: true, Advertise: m.Advertise, PoolSize: -1}}
	for _, r := range m.Routes {
		u, err := url.Parse("nats://" + r)
		if err != nil {
			return nil, err
		}
		o.Routes = append(o.Routes, u)
	}
	s, err := server.NewServer(o)
	if err == nil {
		s.Start()
	}
	return s, err
}

func (m clusterMember) startHere(t *testing.T) *server.Server {
	t.Helper()
	s, err := m.start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(patience) {
		t.Fatal("the NATS server does not come up")
	}
	return s
}

// The times after which servers of a cluster elect another leader, as the tests of nats-server set them: 4 and 9 seconds, and one.
var (
	//go:linkname minElectionTimeout github.com/nats-io/nats-server/v2/server.minElectionTimeout
	minElectionTimeout time.Duration

	//go:linkname maxElectionTimeout github.com/nats-io/nats-server/v2/server.maxElectionTimeout
	maxElectionTimeout time.Duration

	//go:linkname hbInterval github.com/nats-io/nats-server/v2/server.hbInterval
	hbInterval time.Duration
)

const memberVariable = "SWITCHBOARD_TEST_NATS"

// TestMain serves NATS in a process that startToKill has started, until its standard input ends.
func TestMain(m *testing.M) {
	minElectionTimeout, maxElectionTimeout, hbInterval = time.Second, 2*time.Second, 250*time.Millisecond
	text := os.Getenv(memberVariable)
	if text == "" {
		os.Exit(m.Run())
	}
	var member clusterMember
	err := json.Unmarshal([]byte(text), &member)
	if err == nil {
		var s *server.Server
		if s, err = member.start(); err == nil && s.ReadyForConnections(patience) {
			fmt.Println(s.ClientURL(), s.ClusterAddr())
			io.Copy(io.Discard, os.Stdin)
			s.Shutdown()
			s.WaitForShutdown()
			return
		}
	}
	fmt.Fprintln(os.Stderr, "the NATS server does not come up", err)
	os.Exit(1)
}

// startToKill starts a server in a process of its own. It returns its URL and its address for routes.
func (m clusterMember) startToKill(t *testing.T) (url, routes string, kill func()) {
	t.Helper()
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), memberVariable+"="+string(text))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill = sync.OnceFunc(func() {
		cmd.Process.Kill()
		in.Close()
		cmd.Wait()
	})
	t.Cleanup(kill)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal("the NATS server does not come up: ", err)
	}
	url, routes, _ = strings.Cut(strings.TrimSpace(line), " ")
	return url, routes, kill
}

// A cluster is three servers of NATS. The third is in a process of its own, which can be killed.
type cluster struct {
	t     *testing.T
	third clusterMember
	kill  func()
	urls  [3]string
	wires [3][3]*wire // from the server that connects to the other
	nc    *nats.Conn
}

// elects is how long an answer is awaited: while there is no leader, none comes.
const elects = 200 * time.Millisecond

func startCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{t: t}
	nowhere := newWire(t, "").l.Addr().String()
	var members [3]clusterMember
	for i := range members {
		m := clusterMember{Name: fmt.Sprint("server-", i), Dir: t.TempDir(), Advertise: nowhere}
		for k := range members {
			c.wires[i][k] = newWire(t, "") // to itself too: a server counts its routes to know how many servers there are
			m.Routes = append(m.Routes, c.wires[i][k].l.Addr().String())
		}
		members[i] = m
	}
	for i, m := range members[:2] {
		s := m.startHere(t)
		c.urls[i] = s.ClientURL()
		c.reach(i, s.ClusterAddr().String())
	}
	c.third = members[2]
	c.startThird()
	var err error
	if c.nc, err = nats.Connect(c.urls[0]); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.nc.Close)
	until(t, "the cluster has no leader", func() bool {
		m, err := c.nc.Request("$JS.API.INFO", nil, elects)
		return err == nil && !strings.Contains(string(m.Data), `"error"`)
	})
	return c
}

func (c *cluster) startThird() {
	c.t.Helper()
	var routes string
	c.urls[2], routes, c.kill = c.third.startToKill(c.t)
	c.reach(2, routes)
}

// reach has the others reach a server.
func (c *cluster) reach(server int, address string) {
	for _, from := range c.wires {
		from[server].lead(address)
	}
}

// cut cuts the third server off from the others, or mends that.
func (c *cluster) cut(cut bool) {
	for i := range 2 {
		c.wires[i][2].set(cut)
		c.wires[2][i].set(cut)
	}
}

// thirdLeads has the third server lead the stream of the room.
func (c *cluster) thirdLeads() {
	c.t.Helper()
	until(c.t, "the third server does not lead the stream", func() bool {
		m, err := c.nc.Request("$JS.API.STREAM.INFO.room-lobby", nil, elects)
		if err != nil {
			return false
		}
		var info struct {
			Cluster struct {
				Leader   string
				Replicas []struct{ Current bool }
			}
		}
		if err := json.Unmarshal(m.Data, &info); err != nil {
			c.t.Fatal(err)
		}
		if info.Cluster.Leader == c.third.Name {
			return true
		}
		c.nc.Request("$JS.API.STREAM.LEADER.STEPDOWN.room-lobby", []byte(`{"placement":{"preferred":"`+c.third.Name+`"}}`), elects)
		return false
	})
}

// A crowd is processes with one Log, of which each has a member that says numbers until it is told to stop.
type crowd struct {
	t         *testing.T
	listeners []*listener
	said      []int
	stop      chan bool
	talking   sync.WaitGroup
}

func gather(t *testing.T, urls ...string) *crowd {
	t.Helper()
	c := &crowd{t: t, said: make([]int, len(urls)), stop: make(chan bool)}
	for i, url := range urls {
		p := startReplicated(t, fmt.Sprint("p", i), url)
		c.listeners = append(c.listeners, p.join(nil))
	}
	for i, l := range c.listeners {
		c.talking.Go(func() {
			for beat := time.NewTicker(60 * time.Millisecond); ; {
				c.said[i]++
				l.says(fmt.Sprint("p", i, " ", c.said[i]))
				select {
				case <-beat.C:
				case <-c.stop:
					return
				}
			}
		})
	}
	return c
}

func startReplicated(t *testing.T, name, url string) *logged {
	t.Helper()
	b, err := natsroom.Connect(url, natsroom.Options{Repeat: 50 * time.Millisecond, Logger: quiet}, nats.DontRandomize(),
		nats.ReconnectWait(50*time.Millisecond), nats.ReconnectJitter(50*time.Millisecond, 50*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	log, err := natsroom.NewLog(b, natsroom.LogOptions{Replicas: 3, Wait: patience, Heartbeat: 500 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return &logged{t, b, log, &room.Hub{Log: log, Logger: quiet, Options: room.Options{Queue: 1 << 20, History: room.History{Messages: 10_000}}}}
}

// goOn waits until each of some members has heard some more from each of some others since now.
func (c *crowd) goOn(members ...int) {
	c.t.Helper()
	for _, l := range members {
		for _, from := range members {
			prefix := fmt.Sprint(" ann p", from, " ")
			heard := func() (n int) {
				for _, line := range c.listeners[l].all() {
					if strings.Contains(line, prefix) {
						n++
					}
				}
				return n
			}
			before := heard()
			until(c.t, fmt.Sprintf("%d does not hear from %d", l, from), func() bool { return heard() >= before+5 })
		}
	}
}

// ends stops the talk and checks that everybody has heard the same, all of it, once, and each member's messages in their order.
func (c *crowd) ends() {
	c.t.Helper()
	close(c.stop)
	c.talking.Wait()
	total := 0
	for _, n := range c.said {
		total += n
	}
	want := c.listeners[0].hears(total)
	for i, l := range c.listeners {
		got := l.hears(total)
		if !slices.Equal(got, want) {
			c.t.Errorf("%d hears\n%.5000q, not\n%.5000q", i, got, want)
		}
	}
	next := make([]int, len(c.said))
	for i, line := range want {
		var seq, p, n int
		if _, err := fmt.Sscanf(line, "%d ann p%d %d", &seq, &p, &n); err != nil || seq != i+1 || n != next[p]+1 {
			c.t.Fatalf("line %d is %q, after %v", i, line, next)
		}
		next[p] = n
	}
	c.t.Logf("%d messages", total)
}

// In a cluster of three, the server that leads the stream is cut off from the others, together with a process that is connected to it.
// The others go on. The wires are mended; then this server is killed, and comes back. Everybody gets everything once, in one order.
func TestAClusterOfThreeIsTornApartAndItsLeaderKilled(t *testing.T) {
	t.Parallel()
	servers := startCluster(t)
	c := gather(t, servers.urls[0], servers.urls[2]+","+servers.urls[1], servers.urls[1])
	c.goOn(0, 1, 2)
	servers.thirdLeads()
	servers.cut(true)
	c.goOn(0, 2)
	servers.cut(false)
	c.goOn(0, 1, 2)

	servers.thirdLeads()
	servers.kill()
	c.goOn(0, 1, 2)
	servers.startThird()
	c.goOn(0, 1, 2)
	c.ends()
}
