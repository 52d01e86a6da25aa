package docs_test

import (
	"bufio"
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestSystemCallsOfTheTour runs the examples under strace and looks whether they make the calls of the tour, in its order. A
// block is one with a comment <!-- strace: EXAMPLE ARGUMENTS --> above it. Names of calls, constants and strings are compared;
// numbers and what an ellipsis stands for are not.
func TestSystemCallsOfTheTour(t *testing.T) {
	for _, name := range []string{"strace", "nc"} {
		if _, err := exec.LookPath(name); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
	}
	if out, err := exec.Command("strace", "-o", os.DevNull, "true").CombinedOutput(); err != nil {
		t.Skipf("nothing can be traced here: %v\n%s", err, out)
	}
	programs := t.TempDir()
	build := exec.Command("go", "build", "-o", programs+"/", "./examples/...")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	blocks := 0
	for _, p := range readPages(t) {
		for _, b := range p.blocks {
			command, ok := strings.CutPrefix(b.context, "strace: ")
			if !ok {
				continue
			}
			blocks++
			t.Run(command, func(t *testing.T) {
				calls := trace(t, programs, strings.Fields(command), b.lines)
				if strings.Contains(b.lines[len(b.lines)-1], "io_uring_enter") && !strings.Contains(strings.Join(calls, "\n"), "io_uring_enter") {
					t.Skip("there is no io_uring here")
				}
				if missing := lacks(calls, b.lines); missing != "" {
					t.Errorf("%s:%d: this call was not made, or not in this order:\n%s\nof\n%s", b.page, b.line, missing, strings.Join(calls, "\n"))
				}
			})
		}
	}
	if blocks < 8 {
		t.Errorf("only %d blocks of system calls found", blocks)
	}
}

const (
	patience = time.Minute
	traced   = "network,close,execve,epoll_create1,epoll_ctl,epoll_pwait,ppoll,io_uring_setup,io_uring_enter"
)

// trace runs a server under strace, has a client say hello to it, and returns its calls once all that are wanted were made, or
// time is up.
func trace(t *testing.T, programs string, command, wanted []string) []string {
	file := filepath.Join(t.TempDir(), "calls")
	args := append([]string{"-f", "-qq", "-s", "80", "-e", "trace=" + traced, "-o", file,
		filepath.Join(programs, command[0]), "-listen", "127.0.0.1:0"}, command[1:]...)
	cmd := exec.Command("strace", args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		cmd.Wait()
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	_, address, ok := strings.Cut(line, "listening on ")
	if !ok {
		t.Fatalf("it said %q, %v", line, err)
	}
	address = strings.Fields(address)[0]
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	client := exec.CommandContext(t.Context(), "nc", "-N", host, port)
	client.Stdin = strings.NewReader("hello\n")
	if command[0] == "messages" {
		client = exec.CommandContext(t.Context(), filepath.Join(programs, command[0]), append(command[1:], "-to", address, "hello")...)
	}
	if out, err := client.CombinedOutput(); err != nil || len(out) == 0 {
		t.Fatalf("the client printed %q and ended with %v", out, err)
	}
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if calls := whole(text); lacks(calls, wanted) == "" || time.Now().After(end) {
			return calls
		}
	}
}

var resumed = regexp.MustCompile(`<\.\.\. \w+ resumed>`)

// whole returns the calls that a trace shows, without process numbers. A call that strace shows in two pieces is joined.
func whole(text []byte) (calls []string) {
	begun := map[string]string{}
	for line := range bytes.Lines(text) {
		pid, call, _ := strings.Cut(strings.TrimSpace(string(line)), " ")
		call = strings.TrimSpace(call)
		if at := resumed.FindStringIndex(call); at != nil {
			call = begun[pid] + call[at[1]:]
		} else if before, ok := strings.CutSuffix(call, "<unfinished ...>"); ok {
			begun[pid] = before
			continue
		}
		calls = append(calls, call)
	}
	return calls
}

// Of a documented call: a string up to an ellipsis, and constants.
var compared = regexp.MustCompile(`"[^"…]*|\b[A-Z][A-Z0-9_]{3,}\b`)

// lacks returns the first documented call that is not among the others in order, "" if all are.
func lacks(calls, documented []string) string {
	at := 0
	for _, want := range documented {
		name, _, ok := strings.Cut(want, "(")
		if !ok || strings.Contains(want, "# the runtime") { // it may do that at another time, or not at all
			continue
		}
		for ; ; at++ {
			if at == len(calls) {
				return want
			}
			if strings.HasPrefix(calls[at], name+"(") && hasAll(calls[at], compared.FindAllString(want, -1)) {
				break
			}
		}
		at++
	}
	return ""
}

func hasAll(call string, pieces []string) bool {
	for _, piece := range pieces {
		if !strings.HasPrefix(piece, `"./`) && !strings.Contains(call, piece) {
			return false
		}
	}
	return true
}

func TestMissingSystemCallsAreFound(t *testing.T) {
	calls := whole([]byte("1 accept4(5, 0x1 <unfinished ...>\n2 recvfrom(8, \"hello\\n\", 4096) = 6\n1 <... accept4 resumed>, [112], SOCK_CLOEXEC) = -1 EAGAIN (Try again)\n"))
	for documented, want := range map[string]string{
		"recvfrom(7, \"hel…\", …) = 6\naccept4(5, …) = -1 EAGAIN": "",
		"accept4(5) = -1 EAGAIN\nrecvfrom(8)":                     "recvfrom(8)",
		"accept4(5) = -1 EMFILE":                                  "accept4(5) = -1 EMFILE",
		"recvfrom(8, \"bye\")":                                    "recvfrom(8, \"bye\")",
	} {
		if got := lacks(calls, strings.Split(documented, "\n")); got != want {
			t.Errorf("of %q it lacks %q", documented, got)
		}
	}
}
