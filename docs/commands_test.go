//go:build linux

package docs_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/switchboard-go/switchboard/internal/netns"
)

const (
	bySystemd = "it changes the machine: TestSystemdRunsTheUnits of package deploy runs it on a system of its own"
	byNobody  = "it needs Docker, which cannot run inside of a container: the tests of package deploy look at what the image is made of"
)

// Commands of the pages that are not run here, each with the reason.
var elsewhere = map[string]string{
	"go get " + module:         "it asks the network for a release; TestTheReadmeNamesTheModule looks at its path",
	"go test ./...":            "it runs this test; .ci/run runs it",
	"(cd compare && go run .)": "it takes minutes; the tests of the module compare run all of it for a shorter time",

	"install -m 755 switchboard /usr/local/bin/":                                                               bySystemd,
	"install -D -m 644 deploy/systemd/switchboard.toml /etc/switchboard/switchboard.toml":                      bySystemd,
	"install -m 644 deploy/systemd/switchboard.service deploy/systemd/switchboard.socket /etc/systemd/system/": bySystemd,
	"systemctl daemon-reload":                                             bySystemd,
	"systemctl enable switchboard.socket switchboard.service":             bySystemd,
	"systemctl start switchboard.socket switchboard.service":              bySystemd,
	"systemctl reload switchboard":                                        bySystemd,
	"systemctl kill -s HUP switchboard":                                   bySystemd,
	"docker build -f deploy/docker/Dockerfile -t switchboard .":           byNobody,
	"docker run --rm -p 7007:7007 --read-only --cap-drop ALL switchboard": byNobody,
}

const module = "github.com/switchboard-go/switchboard"

// Every command of these pages is run.
var commandPages = []string{"README.md", "docs/operate.md", "docs/restart.md"}

// TestCommandsOfThePages runs every command of the pages, in their order, as they stand there. Servers run until the next one is
// started, or the page ends; those in the background until their block ends.
func TestCommandsOfThePages(t *testing.T) {
	bin := os.Getenv("SWITCHBOARD_TEST_BIN")
	if !netns.Inside() {
		bin = t.TempDir()
		t.Setenv("SWITCHBOARD_TEST_BIN", bin)
		build := exec.Command("go", "build", "-o", bin, "./cmd/switchboard") // before time is limited
		build.Dir = root
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		for _, peer := range []string{"nc", "curl", "promtool", "systemd-analyze"} {
			if _, err := exec.LookPath(peer); err != nil {
				if os.Getenv("CI") == "true" {
					t.Fatal(err)
				}
				t.Skip(err)
			}
		}
	}
	if !netns.Enter(t) { // where the ports of the pages are free
		return
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil { // to wait for what a server has started in its place
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	t.Setenv("GOBIN", bin)
	left := maps.Clone(elsewhere)
	for _, p := range readPages(t) {
		if !slices.Contains(commandPages, p.path) {
			continue
		}
		var server *exec.Cmd
		ran := 0
		for _, b := range p.blocks {
			if b.language == "toml" {
				newShell(t).run("switchboard serve --check --config " + configuration(t, b))
			}
			if b.language != "sh" {
				continue
			}
			sh := newShell(t)
			for _, command := range b.lines {
				if elsewhere[command] != "" {
					delete(left, command)
					continue
				}
				ran++
				if strings.Contains(command, " serve ") && !strings.Contains(command, " --check ") && !strings.HasSuffix(command, " &") {
					end(server)
					server = serve(t, command)
				} else {
					sh.run(command)
				}
			}
			end(sh.cmd)
		}
		end(server)
		if ran == 0 {
			t.Errorf("%s: no commands found", p.path)
		}
	}
	for command := range left {
		t.Errorf("%q is in no page", command)
	}
}

// TestBlocksOfThePagesSayWhatTheyAre has no command stand where it is not run, and checks the files that are shown.
func TestBlocksOfThePagesSayWhatTheyAre(t *testing.T) {
	for _, p := range readPages(t) {
		if !slices.Contains(commandPages, p.path) {
			continue
		}
		for _, b := range p.blocks {
			switch b.language {
			case "":
				t.Errorf("%s:%d: the block does not say what it is: sh is run", p.path, b.line)
			case "yaml":
				promtool, err := exec.LookPath("promtool")
				if err != nil && os.Getenv("CI") == "true" {
					t.Fatal(err)
				} else if err != nil {
					continue
				}
				file := filepath.Join(t.TempDir(), "prometheus.yml")
				if err := os.WriteFile(file, []byte(strings.Join(b.lines, "\n")+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
				if out, err := exec.Command(promtool, "check", "config", file).CombinedOutput(); err != nil {
					t.Errorf("%s:%d: %v\n%s", p.path, b.line, err, out)
				}
			}
		}
	}
}

func TestTheReadmeNamesTheModule(t *testing.T) {
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(mod), "\ngo ")
	if !strings.HasPrefix(string(mod), "module "+module+"\n") || !strings.HasPrefix(rest, "1.26") {
		t.Errorf("go.mod begins with %.80q", mod)
	}
	if !strings.Contains(readme(t), "needs Go 1.26.") {
		t.Error("the README does not say which Go is needed")
	}
}

func readme(t *testing.T) string {
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// configuration writes a block into a file, and the lists that it names beside it.
func configuration(t *testing.T, b block) (path string) {
	dir := t.TempDir()
	text := strings.ReplaceAll(strings.Join(b.lines, "\n"), "/etc/switchboard", dir)
	for name, text := range map[string]string{"switchboard.toml": text, "deny.txt": "192.0.2.1\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "switchboard.toml")
}

// serve starts a server and waits until it listens.
func serve(t *testing.T, command string) *exec.Cmd {
	cmd := exec.Command("sh", "-c", command)
	cmd.Dir = root
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { end(cmd) })
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		if _, address, ok := strings.Cut(lines.Text(), "listening on "); ok {
			go func() { // so that it can go on to log
				for lines.Scan() {
				}
			}()
			if strings.Contains(command, " --admin-write") {
				address, _, _ = strings.Cut(address, `"`)
				connect(t, address)
			}
			return cmd
		}
	}
	t.Fatalf("%s: it ended with %v before it listened", command, cmd.Wait())
	return nil
}

// connect is a client of an echo server, for the operator to look at. It stays until the test ends.
func connect(t *testing.T, address string) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(time.Minute))
	io.WriteString(conn, "x")
	if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
}

// end ends a process, and all of its group, and waits for them.
func end(cmd *exec.Cmd) {
	if cmd == nil || cmd.ProcessState != nil {
		return
	}
	syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
	cmd.Wait()
	for {
		if _, err := syscall.Wait4(-cmd.Process.Pid, nil, 0, nil); err != nil && err != syscall.EINTR {
			return
		}
	}
}

// A shell runs the commands of a block one after the other.
type shell struct {
	t        *testing.T
	cmd      *exec.Cmd
	in       io.Writer
	statuses *bufio.Scanner
	dir      string // of what they print
}

func newShell(t *testing.T) *shell {
	s := &shell{t: t, cmd: exec.Command("sh"), dir: t.TempDir()}
	s.cmd.Dir = root
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	in, err := s.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.in, s.statuses = in, bufio.NewScanner(out)
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { end(s.cmd) })
	return s
}

// run runs a command that ends by itself, or a server in the background until it listens. A command that installs from elsewhere
// takes what is here instead.
func (s *shell) run(command string) {
	s.t.Helper()
	printed := filepath.Join(s.dir, "printed")
	os.Remove(printed) // a server in the background goes on to write to the one before
	limit := time.AfterFunc(time.Minute, func() { syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL) })
	fmt.Fprintf(s.in, "{ %s\n} </dev/null >%s 2>&1\necho $?\n", strings.ReplaceAll(command, "@latest", ""), printed)
	s.statuses.Scan()
	inTime := limit.Stop()
	out, err := os.ReadFile(printed)
	if err != nil || s.statuses.Text() != "0" {
		s.t.Fatalf("%s: status %q, in time: %t, %v\n%s", command, s.statuses.Text(), inTime, err, out)
	}
	for deadline := time.Now().Add(time.Minute); strings.HasSuffix(command, " &") && !bytes.Contains(out, []byte("listening on")); time.Sleep(10 * time.Millisecond) {
		if out, err = os.ReadFile(printed); err != nil || time.Now().After(deadline) {
			s.t.Fatalf("%s: it does not listen: %v\n%s", command, err, out)
		}
	}
	if strings.Contains(command, "hello") && string(out) != "hello\n" {
		s.t.Errorf("%s: it printed %q", command, out)
	}
	s.t.Logf("%s\n%.2000s", command, out)
}
