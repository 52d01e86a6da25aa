package uring

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/switchboard-go/switchboard/internal/seccomp"
)

func TestProbeAgreesWithTheKernelsVersion(t *testing.T) {
	s := Probe()
	if s.Err() != nil {
		t.Skip(s.Err())
	}
	t.Logf("Linux %s\n%v", release(), s)
	var major, minor int
	if _, err := fmt.Sscanf(release(), "%d.%d", &major, &minor); err != nil {
		t.Fatal(err)
	}
	for f := range featureCount {
		var since struct{ major, minor int }
		if _, err := fmt.Sscanf(f.Since(), "%d.%d", &since.major, &since.minor); err != nil {
			t.Fatal(f, err)
		}
		// A distribution may have brought a feature to an older kernel; none takes one away.
		if newer := major > since.major || major == since.major && minor >= since.minor; newer && !s.Has(f) {
			t.Errorf("Linux %s has no %v, which Linux %s brought", release(), f, f.Since())
		}
	}
}

func TestMissingFeatureIsNamed(t *testing.T) {
	s := Probe()
	if s.Err() != nil {
		t.Skip(s.Err())
	}
	err := s.Without(IncrementalBuffers).Require(NoDrop, IncrementalBuffers)
	var missing *MissingError
	if !errors.As(err, &missing) || missing.Feature != IncrementalBuffers || !errors.Is(err, errors.ErrUnsupported) {
		t.Fatal(err)
	}
	if !strings.Contains(err.Error(), "IOU_PBUF_RING_INC") || !strings.Contains(err.Error(), "6.12") {
		t.Fatal(err)
	}
	if !strings.Contains(s.Without(NoDrop).String(), "- keeping completions") {
		t.Fatal(s.Without(NoDrop))
	}
	if err := s.Require(); err != nil {
		t.Fatal(err)
	}
}

// Without memory for buffers, which a user's limit of locked memory bounds too, nothing is said to be missing in the kernel.
// This test runs itself again below a seccomp filter that answers io_uring_register(2) so.
func TestWantOfMemoryForBuffersIsNoMissingFeature(t *testing.T) {
	const env = "URING_TEST_NO_BUFFERS"
	if s := Probe(); s.Err() != nil {
		t.Skip(s.Err())
	}
	if os.Getenv(env) != "" {
		r, err := New(Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if err := seccomp.Refuse(unix.SYS_IO_URING_REGISTER, unix.ENOMEM); err != nil {
			t.Fatal(err)
		}
		if _, err := r.NewBuffers(0, 1, 1, Whole); err == nil || !strings.Contains(err.Error(), "RLIMIT_MEMLOCK") {
			t.Error(err)
		}
		s := Probe()
		fmt.Println(s.Require(BufferRing))
		return
	}
	child := exec.Command(os.Args[0], "-test.run=^TestWantOfMemoryForBuffersIsNoMissingFeature$")
	child.Env = append(os.Environ(), env+"=1")
	out, err := child.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, w := range []string{"io_uring_register: ", "cannot allocate memory", "RLIMIT_MEMLOCK"} {
		if !strings.Contains(string(out), w) {
			t.Errorf("no %q in %q", w, out)
		}
	}
	if strings.Contains(string(out), "lacks") {
		t.Errorf("something is said to be missing: %q", out)
	}
}

// A kernel that refuses: this test runs itself again below a seccomp filter that answers io_uring_setup(2) so.
func TestRefusalSaysWhyAndWhatToDo(t *testing.T) {
	const env = "URING_TEST_REFUSE"
	if v := os.Getenv(env); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil {
			t.Fatal(err)
		}
		if err := seccomp.Refuse(unix.SYS_IO_URING_SETUP, unix.Errno(n)); err != nil {
			t.Fatal(err)
		}
		s := Probe()
		_, err = New(Config{})
		if s.Err() == nil || err == nil || s.Err().Error() != err.Error() || s.Has(NoDrop) || s.Require(NoDrop) != s.Err() {
			t.Fatalf("Probe: %v; New: %v", s.Err(), err)
		}
		var why *Error
		if !errors.As(err, &why) || !errors.Is(err, unix.Errno(n)) {
			t.Fatalf("%T %v", err, err)
		}
		fmt.Println(err)
		return
	}
	for errno, want := range map[unix.Errno][]string{
		unix.ENOSYS: {"function not implemented", "since 5.1"},
		unix.EPERM:  {"operation not permitted", "seccomp"},
		unix.ENOMEM: {"cannot allocate memory", "RLIMIT_MEMLOCK"},
	} {
		t.Run(unix.ErrnoName(errno), func(t *testing.T) {
			if b, _ := os.ReadFile("/proc/sys/kernel/io_uring_disabled"); errno == unix.EPERM && string(b) > "0\n" {
				want = []string{"operation not permitted", "kernel.io_uring_disabled"}
			}
			child := exec.Command(os.Args[0], "-test.run=^TestRefusalSaysWhyAndWhatToDo$")
			child.Env = append(os.Environ(), fmt.Sprintf("%s=%d", env, errno))
			out, err := child.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			for _, w := range append(want, "io_uring_setup: ") {
				if !strings.Contains(string(out), w) {
					t.Errorf("no %q in %q", w, out)
				}
			}
		})
	}
}
