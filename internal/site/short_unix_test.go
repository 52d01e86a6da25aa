//go:build unix

package site_test

import (
	"os"
	"syscall"
	"testing"

	"github.com/switchboard-go/switchboard/internal/site"
)

// A file that cannot be opened for want of a descriptor is not missing: caches would remember that.
func TestAFileForWhichNoDescriptorIsLeftIsNotMissing(t *testing.T) {
	s, err := site.Open(directory(t), true)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	free, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	free.Close()
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	none := before
	none.Cur = 3 // fewer than are open
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	defer syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before)
	for _, path := range []string{"/a.txt", "/", "/list/", "/list/a:b%20%3Cc%3E.txt"} {
		if r := ask(t, s, "GET", path); r.StatusCode != 503 || r.Header.Get("Retry-After") == "" {
			t.Errorf("%s: %d %q", path, r.StatusCode, r.Header)
		}
	}
}
