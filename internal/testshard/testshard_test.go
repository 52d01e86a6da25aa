package testshard

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	inside = "SWITCHBOARD_TEST_INSIDE" // set in the process that is looked at, which has tests that fail on demand
	fails  = "SWITCHBOARD_TEST_FAILS"  // names the test that fails, and how
)

func TestMain(m *testing.M) {
	os.Exit(Run(m))
}

// These are the tests that are run in shards.

func TestInside0(t *testing.T) { speak(t) }
func TestInside1(t *testing.T) { speak(t) }
func TestInside2(t *testing.T) { speak(t) }
func TestInside3(t *testing.T) { speak(t) }
func TestInside4(t *testing.T) { speak(t) }
func TestInside5(t *testing.T) { speak(t) }
func TestInside6(t *testing.T) { speak(t) }
func FuzzInside(f *testing.F)  { f.Fuzz(func(*testing.T, []byte) {}) }

func speak(t *testing.T) {
	if os.Getenv(inside) == "" {
		t.Skip("only for the tests of this package")
	}
	fmt.Printf("process %d runs %s\n", os.Getpid(), t.Name())
	switch os.Getenv(fails) {
	case t.Name() + " fails":
		t.Error("this is the failure")
	case t.Name() + " panics":
		panic("this is the panic")
	}
}

// again starts this binary as go test does, and returns which process ran which tests.
func again(t *testing.T, failing string, args ...string) (out string, processes map[string][]string, err error) {
	t.Helper()
	if os.Getenv(inside) != "" {
		t.Skip("inside")
	}
	if testing.CoverMode() != "" {
		t.Skip("coverage is of one process")
	}
	cmd := exec.Command(os.Args[0], append([]string{"-test.paniconexit0"}, args...)...)
	cmd.Env = append(os.Environ(), inside+"=1", inShard+"=", fails+"="+failing)
	said, err := cmd.CombinedOutput()
	processes = map[string][]string{}
	for _, m := range regexp.MustCompile(`process (\d+) runs (\w+)`).FindAllStringSubmatch(string(said), -1) {
		processes[m[1]] = append(processes[m[1]], m[2])
	}
	return string(said), processes, err
}

func ranOnce(t *testing.T, processes map[string][]string) {
	t.Helper()
	var all []string
	for _, names := range processes {
		all = append(all, names...)
	}
	slices.Sort(all)
	if want := "TestInside0 TestInside1 TestInside2 TestInside3 TestInside4 TestInside5 TestInside6"; strings.Join(all, " ") != want {
		t.Errorf("these ran: %v", all)
	}
}

func TestAllTestsRunOnceInSeveralProcesses(t *testing.T) {
	for _, v := range []string{"-test.v=false", "-test.v=true", "-test.v=test2json", "-test.skip=None"} {
		out, processes, err := again(t, "", v)
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		ranOnce(t, processes)
		if len(processes) < 2 {
			t.Errorf("only %d processes ran tests", len(processes))
		}
		if n := len(regexp.MustCompile(`(?m)^\x16?(PASS|FAIL)$`).FindAllString(out, -1)); n != 1 || !strings.HasSuffix(out, "PASS\n") {
			t.Errorf("with %s it says %d times how it ended:\n%s", v, n, out)
		}
	}
}

func TestFailureIsShownAndOthersRun(t *testing.T) {
	out, processes, err := again(t, "TestInside2 fails")
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("it ended with %v", err)
	}
	ranOnce(t, processes)
	if !strings.Contains(out, "--- FAIL: TestInside2") || !strings.Contains(out, "this is the failure") || !strings.HasSuffix(out, "\nFAIL\n") {
		t.Errorf("it says:\n%s", out)
	}
}

func TestPanicIsShown(t *testing.T) {
	out, _, err := again(t, "TestInside6 panics")
	if err == nil || !strings.Contains(out, "this is the panic") || !strings.Contains(out, "the shard of TestInside") {
		t.Errorf("it ended with %v and says:\n%s", err, out)
	}
}

func TestNamedTestsRunInOneProcess(t *testing.T) {
	for _, args := range [][]string{{"-test.run=Inside"}, {"-test.run=Inside", "-test.skip=None"}} {
		out, processes, err := again(t, "", args...)
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		ranOnce(t, processes)
		if len(processes) != 1 {
			t.Errorf("with %v %d processes ran tests", args, len(processes))
		}
	}
}
