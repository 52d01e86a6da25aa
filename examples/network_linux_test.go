package examples_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/switchboard-go/switchboard/internal/netns"
)

// cable makes two interfaces, near and far, that are joined by a cable. Near has 10.9.0.1, and nobody is at far.
func cable(t *testing.T) {
	t.Helper()
	for _, args := range []string{
		"link add near type veth peer name far",
		"link set near addrgenmode none",
		"addr add fe80::1/64 dev near nodad",
		"addr add 10.9.0.1/24 dev near",
		"link set near up",
		"link set far up",
	} {
		netns.Run(t, "ip", strings.Fields(args)...)
	}
	// A cable takes a moment until both ends know of it.
	for {
		if _, _, code := run(t, "", "ip", "-6", "route", "get", "ff02::1", "dev", "near"); code == 0 {
			return
		}
	}
}

func setting(t *testing.T, name, value string) {
	t.Helper()
	if err := os.WriteFile("/proc/sys/net/"+name, []byte(value), 0); err != nil {
		t.Fatal(err)
	}
}

func TestPingSaysWhatPingSays(t *testing.T) {
	if !netns.Enter(t) {
		return
	}
	cable(t)
	theirs := peer(t, "ping")
	setting(t, "ipv4/ping_group_range", "0 0")
	setting(t, "ipv4/neigh/near/retrans_time_ms", "10") // how long nobody answers
	netns.Run(t, "ip", "route", "add", "unreachable", "10.99.0.0/16")
	for _, c := range []struct {
		host     string
		received int
	}{{"127.0.0.1", 3}, {"::1", 3}, {"10.9.0.1", 3}, {"10.9.0.77", 0}} {
		out, stderr, code := run(t, "", theirs, "-n", "-c", "3", "-i", "0.2", "-W", "5", c.host)
		if !strings.Contains(out, fmt.Sprintf("3 packets transmitted, %d received", c.received)) {
			t.Fatalf("ping(8) to %s says %s%s", c.host, out, stderr)
		}
		for _, flags := range [][]string{nil, {"-unprivileged"}} {
			if c.received == 0 && flags != nil {
				continue // errors do not come to a socket of this kind that did not ask for them
			}
			args := append(flags, "-count", "3", "-interval", "10ms", "-wait", "20s", c.host)
			out, stderr, ours := run(t, "", example("ping"), args...)
			if !strings.Contains(out, fmt.Sprintf("3 sent, %d received", c.received)) || ours != code {
				t.Errorf("%v: exit %d, %s%s", args, ours, out, stderr)
			}
			want := fmt.Sprintf(" bytes from %s: seq 3, ", c.host)
			if c.received == 0 {
				want = "seq 3: 10.9.0.1 says: the host cannot be reached"
			}
			if !strings.Contains(out, want) {
				t.Errorf("%v: %s", args, out)
			}
		}
	}
	out, _, code := run(t, "", example("ping"), "-count", "1", "10.99.0.1")
	if code != 1 || !strings.Contains(out, "sendto 10.99.0.1:0: no route to host") {
		t.Errorf("exit %d, %s", code, out)
	}
}

const pythonMember = `
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(('239.7.7.7', int(sys.argv[1])))
s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton('239.7.7.7') + socket.inet_aton('10.9.0.1'))
print('listening on %s:%d' % s.getsockname(), flush=True)
print(s.recv(100).decode(), flush=True)
`

const pythonSpeaker = `
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton('10.9.0.1'))
s.sendto(b'from python', ('239.7.7.7', int(sys.argv[1])))
`

func TestMulticastIsHeardByEveryMember(t *testing.T) {
	if !netns.Enter(t) {
		return
	}
	cable(t)
	python := peer(t, "python3")
	all := start(t, example("multicast"), "-interface", "near", "239.7.7.7:0")
	group := all.address
	member := start(t, python, "-c", pythonMember, all.port())
	one := start(t, example("multicast"), "-interface", "near", "-source", "10.9.0.1", group)
	other := start(t, example("multicast"), "-interface", "near", "-source", "10.9.0.77", group)

	say(t, "", example("multicast"), "-interface", "near", group, "hello", "everybody")
	member.waitFor(t, "hello everybody")
	say(t, "", python, "-c", pythonSpeaker, all.port())
	for _, s := range []*server{all, one} {
		s.waitFor(t, "10.9.0.1: hello everybody")
		s.waitFor(t, "10.9.0.1: from python")
	}
	// The other hears its own speaker alone, who was silent until this.
	netns.Run(t, "ip", "addr", "add", "10.9.0.77/24", "dev", "near")
	say(t, "", python, "-c", strings.Replace(pythonSpeaker, "s.sendto", "s.bind(('10.9.0.77', 0)); s.sendto", 1), all.port())
	if line := other.waitFor(t, ": "); line != "10.9.0.77: from python" {
		t.Error("heard", line)
	}

	six := start(t, example("multicast"), "-interface", "near", "[ff02::7007]:0")
	say(t, "", example("multicast"), "-interface", "near", six.address, "over IPv6")
	six.waitFor(t, "fe80::1%near: over IPv6")
}
