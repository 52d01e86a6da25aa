//go:build unix

package certs

import (
	"bytes"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Nothing of the files changes when descriptors are there again.
func TestAPassingFailureIsTriedAgain(t *testing.T) {
	p := pairIn(t.TempDir(), "one")
	write(t, p, "one.example")
	var log bytes.Buffer
	f, err := Load(slog.New(slog.NewTextHandler(&log, nil)), p)
	if err != nil {
		t.Fatal(err)
	}
	second := write(t, p, "one.example")
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	none := limit
	none.Cur = 0
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		f.look(time.Now().Add(time.Hour))
		f.next.Store(0)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(log.String(), "cannot be used"); n != 1 || !strings.Contains(log.String(), syscall.EMFILE.Error()) {
		t.Errorf("the log told %d times: %s", n, log.String())
	}
	f.next.Store(0)
	if got := served(t, f, "one.example"); !got.Equal(second.Leaf) {
		t.Error("the one before still serves")
	}
}

// A copy with its old times is seen by ctime, and by content while the file is new.
func TestAFileWithOldTimesIsNoticed(t *testing.T) {
	p := pairIn(t.TempDir(), "one")
	write(t, p, "one.example")
	old := time.Now().Add(-time.Hour)
	backdate := func() {
		for _, path := range []string{p.Cert, p.Key} {
			if err := os.Chtimes(path, old, old); err != nil {
				t.Fatal(err)
			}
		}
	}
	backdate()
	f, err := Load(nil, p)
	if err != nil {
		t.Fatal(err)
	}
	look := func(after time.Duration) {
		f.next.Store(0)
		f.look(time.Now().Add(after))
	}
	look(time.Minute)
	if f.pairs[0].files.seen == nil {
		t.Error("files that are old are read again every second")
	}
	second := write(t, p, "one.example")
	backdate()
	look(time.Minute)
	if got := served(t, f, "one.example"); !got.Equal(second.Leaf) {
		t.Error("the one before still serves")
	}
}

func TestAKeyThatOthersCanReadIsWarnedOf(t *testing.T) {
	for mode, want := range map[os.FileMode]string{
		0o600: "", 0o400: "", 0o640: "", 0o604: "every user can read it", 0o660: "its group can write it",
		0o602: "every user can write it", 0o666: "every user can read and write it",
	} {
		p := pairIn(t.TempDir(), "one")
		write(t, p, "one.example")
		if err := os.Chmod(p.Key, mode); err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		if _, err := Load(slog.New(slog.NewTextHandler(&log, nil)), p); err != nil {
			t.Fatal(err)
		}
		if got := log.String(); want == "" && got != "" || want != "" && (!strings.Contains(got, want) || !strings.Contains(got, p.Key)) {
			t.Errorf("%v: %s", mode, got)
		}
	}
}

// A pipe has what it has once, and who opens it again waits.
func TestAPipeIsReadOnlyAtTheStart(t *testing.T) {
	dir := t.TempDir()
	real, piped := pairIn(dir, "real"), pairIn(dir, "piped")
	first := write(t, real, "one.example")
	pipe := func(path, from string) {
		t.Helper()
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		go os.WriteFile(path, text, 0o600) // when it is read
	}
	pipe(piped.Cert, real.Cert)
	pipe(piped.Key, real.Key)
	var log bytes.Buffer
	f, err := Load(slog.New(slog.NewTextHandler(&log, nil)), piped)
	if err != nil {
		t.Fatal(err)
	}
	f.look(time.Now().Add(time.Hour))
	if got := served(t, f, "one.example"); !got.Equal(first.Leaf) || log.Len() > 0 {
		t.Errorf("%v serves: %s", got.DNSNames, log.String())
	}
	if f, err = Load(slog.New(slog.NewTextHandler(&log, nil)), real); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(real.Key); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(real.Key, 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		f.look(time.Now().Add(time.Duration(i+1) * time.Hour))
	}
	if got := served(t, f, "one.example"); !got.Equal(first.Leaf) || strings.Count(log.String(), real.Key+" is no regular file") != 1 {
		t.Errorf("%v serves: %s", got.DNSNames, log.String())
	}
}
