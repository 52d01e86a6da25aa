package zmtp_test

import (
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// heap returns the bytes of live objects.
func heap() int {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// TestMain fails if a test has left a goroutine behind.
func TestMain(m *testing.M) {
	code := m.Run()
	if code == 0 {
		for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			left := ours()
			if left == "" {
				break
			}
			if time.Now().After(end) {
				os.Stderr.WriteString("goroutines were left behind:\n" + left)
				code = 1
				break
			}
		}
	}
	os.Exit(code)
}

// ours returns the stacks of goroutines of this module, without the one that asks.
func ours() string {
	b := make([]byte, 1<<20)
	b = b[:runtime.Stack(b, true)]
	var left []string
	for _, stack := range strings.Split(string(b), "\n\n") {
		if strings.Contains(stack, "switchboard") && !strings.Contains(stack, "TestMain") {
			left = append(left, stack)
		}
	}
	return strings.Join(left, "\n\n")
}
