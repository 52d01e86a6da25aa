// Package testshard runs the tests of a package in several processes at once.
//
// Many tests here wait for timeouts more than they compute, and look at what belongs to their whole process: how many
// goroutines and descriptors it has, its limits, its memory. Such tests must not share a process with others that run at
// the same time, so testing.T.Parallel is not for them. A shard is a process that runs some of them, one after another.
package testshard

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	// width is how many shards of a package run at once. It does not depend on the number of processors, as tests wait.
	width = 6
	// length is how many tests one shard runs. More make fewer processes, fewer spread long tests better.
	length = 5
)

// inShard is set in the environment of a shard.
const inShard = "SWITCHBOARD_TEST_SHARD"

// Run does what m.Run does, and returns its code. If the command asks for all tests of the package, or for all but some,
// it runs them in shards, and prints what each of them says when it ends. It runs all in this process if the command names tests, as
// debugging does, or asks for a profile, for benchmarks or for fuzzing.
func Run(m *testing.M) (code int) {
	if !flag.Parsed() {
		flag.Parse()
	}
	if os.Getenv(inShard) != "" || !whole() {
		return m.Run()
	}
	names, err := tests()
	if err != nil {
		fmt.Println("FAIL: which tests there are:", err)
		return 1
	}
	shards := slices.Collect(slices.Chunk(names, length))
	queue := make(chan []string, len(shards))
	for _, some := range shards {
		queue <- some
	}
	close(queue)
	failFast := flag.Lookup("test.failfast").Value.String() == "true"
	started := time.Now()
	var printing sync.Mutex
	var running sync.WaitGroup
	for range width {
		running.Go(func() {
			for some := range queue {
				out, err := shard(some, started)
				printing.Lock()
				os.Stdout.Write(out)
				if err != nil {
					fmt.Printf("the shard of %s: %v\n", strings.Join(some, ", "), err)
					code = 1
				}
				over := code != 0 && failFast
				printing.Unlock()
				if over {
					return
				}
			}
		})
	}
	running.Wait()
	if code == 0 {
		fmt.Println("PASS")
	} else {
		fmt.Println("FAIL")
	}
	return code
}

// whole reports whether the command asks for all tests, and for nothing that shards could not share.
func whole() bool {
	if testing.CoverMode() != "" {
		return false
	}
	for _, name := range []string{"run", "list", "bench", "fuzz", "cpuprofile", "memprofile",
		"blockprofile", "mutexprofile", "trace", "shuffle"} {
		if f := flag.Lookup("test." + name); f != nil && f.Value.String() != f.DefValue {
			return false
		}
	}
	return true
}

// tests are the names of the tests, examples and seeds of fuzzing.
func tests() ([]string, error) {
	cmd := exec.Command(os.Args[0], "-test.list=.")
	cmd.Env = append(os.Environ(), inShard+"=1")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	names := strings.Fields(string(out))
	return slices.DeleteFunc(names, func(name string) bool { return strings.HasPrefix(name, "Benchmark") }), err
}

// shard runs some tests in a process of their own, and returns what that prints, without the word that it ends with.
func shard(names []string, started time.Time) ([]byte, error) {
	args := []string{"-test.run=^(" + strings.Join(names, "|") + ")$"}
	flag.Visit(func(f *flag.Flag) {
		switch f.Name {
		case "test.testlogfile": // which the go command reads, and each process would overwrite
		case "test.run":
		case "test.timeout":
			if d := f.Value.(flag.Getter).Get().(time.Duration); d > 0 {
				args = append(args, "-test.timeout="+max(d-time.Since(started), time.Second).String())
			}
		default:
			args = append(args, "-"+f.Name+"="+f.Value.String())
		}
	})
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), inShard+"=1", "GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	out, err := cmd.CombinedOutput()
	if err == nil {
		out = bytes.TrimSuffix(out, []byte("PASS\n"))
		out = bytes.TrimSuffix(out, []byte{0x16}) // which marks the line for go test -json
	}
	return out, err
}
