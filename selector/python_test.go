//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package selector

import (
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/switchboard-go/switchboard/internal/testsocket"
)

// Python's select.select looks at the very same open files. Each is asked what makes sense for its kind.
func TestAgreesWithPython(t *testing.T) {
	python := program(t, "python3")
	type subject struct {
		name string
		fd   int
		ev   Events
	}
	var all []subject
	add := func(name string, fd int, ev Events) { all = append(all, subject{name, fd, ev}) }

	r, w := ownedPipe(t)
	add("empty pipe", r, Read)
	add("empty pipe's writer", w, Write)
	r, w = ownedPipe(t)
	write(t, w, "x")
	add("pipe with a byte", r, Read)
	r, w = pipe(t)
	owned(t, r)
	testsocket.Close(w)
	add("pipe without a writer", r, Read)
	r, w = pipe(t)
	owned(t, w)
	testsocket.Close(r)
	add("pipe without a reader", w, Write)
	l, _ := listener(t)
	add("idle listener", l, Read)
	l, address := listener(t)
	c, err := net.Dial("tcp", address)
	must(t, err)
	defer c.Close()
	add("listener with a connection", l, Read)

	const every = Read | Write | Except
	tcpPair := func(name string, act func(client, server int), arrived int16) {
		client, server := tcp(t)
		owned(t, server)
		act(client, server)
		settle(t, server, arrived)
		add(name, server, every)
		if _, err := unix.FcntlInt(uintptr(client), unix.F_GETFD, 0); err == nil {
			owned(t, client)
			add(name+", peer", client, every)
		}
	}
	tcpPair("quiet TCP", func(int, int) {}, 0)
	tcpPair("TCP with bytes", func(c, _ int) { write(t, c, "x") }, pollIn)
	tcpPair("TCP with an urgent byte", func(c, _ int) { must(t, testsocket.SendUrgent(c, '!')) }, pollPri)
	tcpPair("half-closed TCP", func(c, _ int) { must(t, testsocket.ShutdownWrite(c)) }, pollIn)
	tcpPair("closed TCP", func(c, _ int) { testsocket.Close(c) }, pollIn)
	tcpPair("reset TCP", func(c, _ int) {
		must(t, unix.SetsockoptLinger(c, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}))
		testsocket.Close(c)
	}, pollErr)
	a, b := pair(t)
	owned(t, a, b)
	add("quiet Unix pair", a, every)
	a, b = pair(t)
	owned(t, a)
	testsocket.Close(b)
	add("Unix pair without a peer", a, every)
	a, b = pair(t)
	owned(t, a, b)
	fill(t, a)
	add("full Unix pair", a, every)
	add("full Unix pair, peer", b, every)

	script := `import select, json, sys
asked = json.load(sys.stdin)
print(json.dumps([list(map(bool, select.select(*[[i+3] if e & 1 << k else [] for k in range(3)], 0))) for i, e in enumerate(asked)]))`
	cmd := exec.Command(python, "-c", script)
	var masks []Events
	for _, x := range all {
		fd, err := unix.FcntlInt(uintptr(x.fd), unix.F_DUPFD_CLOEXEC, 0)
		must(t, err)
		f := os.NewFile(uintptr(fd), x.name)
		defer f.Close()
		cmd.ExtraFiles = append(cmd.ExtraFiles, f)
		masks = append(masks, x.ev)
	}
	stdin, err := cmd.StdinPipe()
	must(t, err)
	go func() {
		json.NewEncoder(stdin).Encode(masks)
		stdin.Close()
	}()
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	must(t, err)
	var python3 [][3]bool
	must(t, json.Unmarshal(out, &python3))

	want := func(i int) (ev Events) {
		for k, ready := range python3[i] {
			if ready {
				ev |= 1 << k
			}
		}
		return ev
	}
	each(t, func(t *testing.T, s *Selector) {
		for i, x := range all {
			register(t, s, x.fd, x.ev&(Read|Write|s.excepts()), i)
		}
		got := make([]Events, len(all))
		ready, err := s.Select(0)
		must(t, err)
		for _, r := range ready {
			got[r.Key.Data.(int)] = r.Events
		}
		for i, x := range all {
			if got[i] != want(i)&(Read|Write|s.excepts()) {
				t.Errorf("%s: %v, Python says %v", x.name, got[i], want(i))
			}
		}
	})
	t.Run("lists", func(t *testing.T) {
		var lists [3][]int
		for _, x := range all {
			for k := range lists {
				if x.ev&(1<<k) != 0 {
					lists[k] = append(lists[k], x.fd)
				}
			}
		}
		r, w, e, err := Select(lists[0], lists[1], lists[2], 0)
		must(t, err)
		for i, x := range all {
			for k, list := range [...][]int{r, w, e} {
				if slices.Contains(list, x.fd) != python3[i][k] {
					t.Errorf("%s: %s %v, Python says %v", x.name, Events(1<<k), !python3[i][k], python3[i][k])
				}
			}
		}
	})
}
