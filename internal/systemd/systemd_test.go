package systemd

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestPassedSocketsHaveNames(t *testing.T) {
	for _, c := range []struct {
		pid, count, names string
		want              []passed
		complaint         string
	}{
		{"", "", "", nil, ""},
		{"7", "0", "", nil, ""},
		{"7", "2", "", []passed{{3, "unknown"}, {4, "unknown"}}, ""},
		{"7", "3", "web:admin:web", []passed{{3, "web"}, {4, "admin"}, {5, "web"}}, ""},
		{"7", "2", ":x", []passed{{3, ""}, {4, "x"}}, ""},
		{"8", "1", "", nil, "another one"},
		{"", "1", "", nil, "another one"},
		{"7", "-1", "", nil, "no number"},
		{"7", "many", "", nil, "no number"},
		{"7", "99999999", "", nil, "no number"},
		{"7", "2", "web", nil, "1 names"},
	} {
		got, err := parse(c.pid, c.count, c.names, 7)
		if !slices.Equal(got, c.want) || (err == nil) != (c.complaint == "") || err != nil && !strings.Contains(err.Error(), c.complaint) {
			t.Errorf("%+v: %v, %v", c, got, err)
		}
	}
}

func TestTheManagerIsTold(t *testing.T) {
	if (*Manager)(nil).Tell("READY=1") != nil || (*Manager)(nil).Watchdog() != 0 {
		t.Error("nobody wants something")
	}
	path := filepath.Join(t.TempDir(), "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Skip(err)
	}
	defer l.Close()
	for _, c := range []struct {
		usec, pid string
		want      time.Duration
	}{{"", "", 0}, {"2000000", "", 2 * time.Second}, {"2000000", "1", 0}, {"2000000", fmt.Sprint(os.Getpid()), 2 * time.Second},
		{"-1", "", 0}, {"x", "", 0}, {"9223372036854775807", "", 0}} {
		t.Setenv("NOTIFY_SOCKET", path)
		t.Setenv("WATCHDOG_USEC", c.usec)
		t.Setenv("WATCHDOG_PID", c.pid)
		m := NewManager()
		if m == nil || m.Watchdog() != c.want || os.Getenv("NOTIFY_SOCKET") != "" {
			t.Fatalf("%+v: %+v", c, m)
		}
		if err := m.Tell("READY=1", "STATUS=serving"); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 100)
		if n, err := l.Read(b); err != nil || string(b[:n]) != "READY=1\nSTATUS=serving" {
			t.Errorf("heard %q, %v", b[:n], err)
		}
	}
	for _, path := range []string{"", "vsock:2:1234"} {
		t.Setenv("NOTIFY_SOCKET", path)
		if m := NewManager(); m != nil {
			t.Errorf("%q: %+v", path, m)
		}
	}
	gone := &Manager{socket: &net.UnixAddr{Name: path + ".gone", Net: "unixgram"}}
	if err := gone.Tell("READY=1"); err == nil || !strings.Contains(err.Error(), path+".gone") {
		t.Error(err)
	}
}
