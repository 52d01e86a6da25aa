package socket

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/switchboard-go/switchboard/internal/netns"
)

// A neighbour is Python on another machine: a network namespace at the other end of a cable. This one's end is the
// interface "near" with 10.9.0.1 and fd09::1, and fe80::1; the neighbour's is "far" with the same addresses ending in 2.
type neighbour struct {
	t   *testing.T
	in  *json.Encoder
	out *bufio.Scanner
}

const neighbourCode = `
import json, os, struct, subprocess, sys, time
from socket import *
def ip(text):
    subprocess.run(['ip', *text.split()], check=True)
result = None
for line in sys.stdin:
    exec(json.loads(line))
    print(json.dumps(result), flush=True)
`

// newNeighbour is for tests that netns.Enter let in.
func newNeighbour(t *testing.T) *neighbour {
	t.Helper()
	cmd := program(t, "python3", "-c", neighbourCode)
	cmd.SysProcAttr = netns.Unshare()
	in, err := cmd.StdinPipe()
	noError(t, err)
	out, err := cmd.StdoutPipe()
	noError(t, err)
	noError(t, cmd.Start())
	n := &neighbour{t, json.NewEncoder(in), bufio.NewScanner(out)}
	t.Cleanup(func() {
		in.Close()
		io.Copy(io.Discard, out)
		if err := cmd.Wait(); err != nil {
			t.Error("the neighbour:", err)
		}
	})
	netns.Run(t, "ip", "link", "add", "near", "type", "veth", "peer", "name", "far", "netns", fmt.Sprint(cmd.Process.Pid))
	// An address that is being looked for on the network first (RFC 4862) cannot be used meanwhile.
	const noSearch = "/proc/sys/net/ipv6/conf/%s/accept_dad"
	noError(t, os.WriteFile(fmt.Sprintf(noSearch, "near"), []byte("0"), 0))
	own := func(name string, number int) []string {
		return []string{
			"link set lo up",
			fmt.Sprintf("link set %s addrgenmode none", name),
			fmt.Sprintf("addr add 10.9.0.%d/24 dev %s", number, name),
			fmt.Sprintf("addr add fd09::%d/64 dev %s nodad", number, name),
			fmt.Sprintf("addr add fe80::%d/64 dev %s nodad", number, name),
			fmt.Sprintf("link set %s up", name),
		}
	}
	n.run("open('"+noSearch+"', 'w').write('0')", "far")
	for _, args := range own("far", 2) {
		n.run("ip('%s')", args)
	}
	for _, args := range own("near", 1) {
		netns.Run(t, "ip", strings.Fields(args)...)
	}
	// A cable takes a moment until both ends know of it.
	const route = "-6 route get ff02::1 dev "
	n.run("while subprocess.run(['ip', *'%sfar'.split()], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode: time.sleep(0.01)", route)
	if !settled(func() bool { return exec.Command("ip", strings.Fields(route+"near")...).Run() == nil }) {
		t.Fatal("the cable does not come up")
	}
	return n
}

// run runs Python code, and returns what it left in result, in JSON.
func (n *neighbour) run(code string, args ...any) string {
	n.t.Helper()
	noError(n.t, n.in.Encode(fmt.Sprintf(code, args...)))
	if !n.out.Scan() {
		n.t.Fatal("the neighbour ended at: ", fmt.Sprintf(code, args...))
	}
	return n.out.Text()
}

func writeSysctl(t *testing.T, path, value string) {
	t.Helper()
	noError(t, os.WriteFile(path, []byte(value), 0))
}
