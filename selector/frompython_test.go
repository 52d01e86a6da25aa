//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package selector

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// What the table "From Python" of the package's documentation says of both sides is so.
func TestPythonBehavesAsTheTableSays(t *testing.T) {
	cmd := exec.Command(program(t, "python3"), "-")
	cmd.Stdin = strings.NewReader(`
import json, os, select, selectors, threading
result = {}
def case(name, call):
    try:
        result[name] = repr(call())
    except Exception as e:
        result[name] = type(e).__name__
def fresh():
    r, w = os.pipe()
    return selectors.DefaultSelector(), r, w
def registered():
    sel, r, w = fresh()
    sel.register(r, selectors.EVENT_READ, "data")
    return sel, r, w

sel, r, w = registered()
case("register twice", lambda: sel.register(r, selectors.EVENT_READ))
case("unregister unknown", lambda: sel.unregister(w))
case("modify unknown", lambda: sel.modify(w, selectors.EVENT_READ))
case("get_key unknown", lambda: sel.get_key(w))
case("no events", lambda: sel.register(w, 0))
case("negative descriptor", lambda: sel.register(-1, selectors.EVENT_READ))
case("negative timeout", lambda: sel.select(-1))
case("zero timeout", lambda: sel.select(0))
case("get_key", lambda: sel.get_key(r).data)
case("get_map", lambda: [k.data for k in sel.get_map().values()])
def waits():
    threading.Timer(.01, lambda: os.write(w, b"x")).start()
    return [(k.data, e == selectors.EVENT_READ) for k, e in sel.select(None)]
case("no timeout", waits)
case("modify", lambda: sel.modify(r, selectors.EVENT_READ, "more").data)
os.close(r)
case("unregister closed", lambda: sel.unregister(r).data)
sel.close()
case("close twice", sel.close)
case("lists, negative timeout", lambda: select.select([w], [], [], -1))
case("lists, large descriptor", lambda: select.select([5000], [], [], 0))
case("lists, bad descriptor", lambda: select.select([r], [], [], 0))
print(json.dumps(result))
`)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	must(t, err)
	var python map[string]string
	must(t, json.Unmarshal(out, &python))

	s, err := New()
	must(t, err)
	r, w := pipe(t)
	owned(t, w)
	register(t, s, r, Read, "data")
	lookup := func(fd int) error { _, err := s.Lookup(fd); return err }
	unregister := func(fd int) error { _, err := s.Unregister(fd); return err }
	lists := func(fd int) error { _, _, _, err := Select([]int{fd}, nil, nil, 0); return err }
	for _, c := range []struct {
		name, python string
		here, want   error
	}{
		{"register twice", "KeyError", s.Register(r, Read, nil), ErrRegistered},
		{"unregister unknown", "KeyError", unregister(w), ErrNotRegistered},
		{"modify unknown", "KeyError", s.Modify(w, Read, nil), ErrNotRegistered},
		{"get_key unknown", "KeyError", lookup(w), ErrNotRegistered},
		{"no events", "ValueError", s.Register(w, 0, nil), ErrNoEvents},
		{"negative descriptor", "ValueError", s.Register(-1, Read, nil), syscall.EBADF},
		{"get_key", "'data'", lookup(r), nil},
		{"get_map", "['data']", nil, nil},
		{"modify", "'more'", s.Modify(r, Read, "more"), nil},
		{"unregister closed", "'more'", errors.Join(unix.Close(r), unregister(r)), nil},
		{"close twice", "None", errors.Join(s.Close(), s.Close()), ErrClosed},
		{"lists, bad descriptor", "OSError", lists(r), syscall.EBADF},
	} {
		if python[c.name] != c.python {
			t.Errorf("%s: Python says %s, the table %s", c.name, python[c.name], c.python)
		}
		if !errors.Is(c.here, c.want) {
			t.Errorf("%s: here %v, the table says %v", c.name, c.here, c.want)
		}
	}

	s, err = New()
	must(t, err)
	defer s.Close()
	r, w2 := ownedPipe(t)
	register(t, s, r, Read, "data")
	selects(t, s, 0)
	done := waits(s) // a negative timeout
	if len(done) > 0 {
		t.Error("a negative timeout only asks here")
	}
	write(t, w2, "x")
	if got := <-done; len(got.ready) != 1 {
		t.Errorf("waited for %v", got)
	}
	for name, want := range map[string]string{
		"zero timeout": "[]", "negative timeout": "[]", "no timeout": "[('data', True)]",
		"lists, negative timeout": "ValueError", "lists, large descriptor": "ValueError",
	} {
		if python[name] != want {
			t.Errorf("%s: Python says %s, the table %s", name, python[name], want)
		}
	}
}

// Every name in the table's first column is one of Python's.
func TestPythonHasTheNamesOfTheTable(t *testing.T) {
	python := program(t, "python3")
	source, err := os.ReadFile("doc.go")
	must(t, err)
	_, table, found := strings.Cut(string(source), "# From Python\n")
	if !found {
		t.Fatal("doc.go has no such table")
	}
	var names []string
	for line := range strings.Lines(table) {
		row, isRow := strings.CutPrefix(line, "//\t")
		if !isRow || len(row) < 31 || strings.HasPrefix(row, "Python ") || strings.HasPrefix(row, "---") {
			continue
		}
		names = append(names, regexp.MustCompile(`\b(sel\.[a-z_]+|select\.select|[A-Z][A-Za-z_]*(Selector|Error|Key|READ|WRITE))\b`).
			FindAllString(row[:31], -1)...)
	}
	if len(names) < 15 {
		t.Fatalf("found only %q", names)
	}
	script := "import select, selectors, builtins, sys\nsel = selectors.DefaultSelector()\n" +
		"platform = ['DevpollSelector', 'KqueueSelector', 'EpollSelector']\n" +
		"for name in sys.argv[1:]:\n" +
		"    *of, last = name.split('.')\n" +
		"    if of: getattr(eval(of[0]), last)\n" +
		"    elif name not in platform: getattr(selectors, name, None) or getattr(builtins, name)\n"
	if out, err := exec.Command(python, append([]string{"-c", script}, names...)...).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
