//go:build linux

package docs_test

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard/internal/netns"
)

// Commands of the README that are not run here, each with the reason.
var elsewhere = map[string]string{
	"go get " + module:         "it asks the network for a release; TestTheReadmeNamesTheModule looks at its path",
	"go test ./...":            "it runs this test; .ci/run runs it",
	"(cd compare && go run .)": "it takes minutes; the tests of the module compare run all of it for a shorter time",
}

const module = "github.com/switchboard-go/switchboard"

// TestCommandsOfTheReadme runs every command of the README and of docs/operate.md, in their order, as they stand there. Servers run until the next one
// is started.
func TestCommandsOfTheReadme(t *testing.T) {
	bin := os.Getenv("SWITCHBOARD_TEST_BIN")
	if !netns.Inside() {
		bin = t.TempDir()
		t.Setenv("SWITCHBOARD_TEST_BIN", bin)
		build := exec.Command("go", "build", "-o", bin, "./cmd/switchboard") // before time is limited
		build.Dir = root
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		for _, peer := range []string{"nc", "curl", "promtool"} {
			if _, err := exec.LookPath(peer); err != nil {
				if os.Getenv("CI") == "true" {
					t.Fatal(err)
				}
				t.Skip(err)
			}
		}
	}
	if !netns.Enter(t) { // where the README's ports are free
		return
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	t.Setenv("GOBIN", bin)
	var server *exec.Cmd
	stop := func() {
		if server != nil {
			syscall.Kill(-server.Process.Pid, syscall.SIGINT)
			server.Wait()
			server = nil
		}
	}
	defer stop()
	ran := 0
	for _, p := range readPages(t) {
		for _, b := range p.blocks {
			if p.path != "README.md" && p.path != "docs/operate.md" || b.language != "sh" {
				continue
			}
			for _, command := range b.lines {
				if elsewhere[command] != "" {
					continue
				}
				ran++
				if strings.Contains(command, " serve ") && !strings.Contains(command, " --check ") {
					stop()
					server = serve(t, command)
				} else {
					run(t, command)
				}
			}
		}
	}
	if ran < 10 {
		t.Errorf("only %d commands found", ran)
	}
	for command := range elsewhere {
		if !strings.Contains(readme(t), "\n"+command+"\n") {
			t.Errorf("%q is not in the README", command)
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
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "listening on") {
			go func() { // so that it can go on to log
				for lines.Scan() {
				}
			}()
			return cmd
		}
	}
	t.Fatalf("%s: it ended with %v before it listened", command, cmd.Wait())
	return nil
}

// run runs a command that ends by itself. A command that installs from elsewhere takes what is here instead.
func run(t *testing.T, command string) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	local := strings.ReplaceAll(command, "@latest", "")
	cmd := exec.CommandContext(ctx, "sh", "-c", local)
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	if strings.Contains(command, "hello") && string(out) != "hello\n" {
		t.Errorf("%s: it printed %q", command, out)
	}
	t.Logf("%s\n%s", command, out)
}
