package main

import (
	"runtime"
	"strings"
	"testing"
)

func TestNoAddressIsListenedOnTwice(t *testing.T) {
	for _, c := range []struct {
		a, b  string
		meet  bool
		linux bool // it is so on Linux alone
	}{
		{"127.0.0.1:7007", "127.0.0.1:7007", true, false},
		{"tcp://127.0.0.1:7007", "127.0.0.1:07007", true, false},
		{"[::1]:7007", "[0:0::1]:7007", true, false},
		{"localhost:7007", "LOCALHOST:7007", true, false},
		{"127.0.0.1:80", "127.0.0.1:http", true, false},
		{"ws://127.0.0.1:7007", "127.0.0.1:7007", true, false},
		{"unix:/tmp/x", "/tmp/x", true, false},
		{"unix:@x", "@x", true, false},
		{"fd://3", "fd://03", true, false},
		{"systemd:a", "systemd:a", true, false},
		{":7007", "127.0.0.1:7007", true, true},
		{":7007", "[::1]:7007", true, true},
		{"0.0.0.0:7007", "127.0.0.1:7007", true, true},
		{"[::]:7007", "[::1]:7007", true, true},
		{"[::]:7007", "127.0.0.1:7007", false, false},
		{"0.0.0.0:7007", "[::]:7007", false, false},
		{"127.0.0.1:7007", "127.0.0.2:7007", false, false},
		{"127.0.0.1:7007", "127.0.0.1:7008", false, false},
		{"127.0.0.1:0", "127.0.0.1:0", false, false},
		{":0", "127.0.0.1:0", false, false},
		{"unix:/tmp/x", "unix:/tmp/y", false, false},
		{"fd://3", "fd://4", false, false},
		{"systemd:", "systemd:a", false, false},
		{"", "", false, false},
	} {
		want := c.meet && (!c.linux || runtime.GOOS == "linux")
		if meet(c.a, c.b) != want || meet(c.b, c.a) != want {
			t.Errorf("%s and %s: %t and %t", c.a, c.b, meet(c.a, c.b), meet(c.b, c.a))
		}
	}
	for call, want := range map[string]string{
		"echo --listen 127.0.0.1:1 --listen tcp://127.0.0.1:1": "--listen 127.0.0.1:1 and --listen tcp://127.0.0.1:1 are the same address",
		"echo --listen 127.0.0.1:1 --admin 127.0.0.1:1":        "--listen 127.0.0.1:1 and --admin 127.0.0.1:1 are the same address",
		"chat --listen 127.0.0.1:1 --lines 127.0.0.1:1":        "--listen 127.0.0.1:1 and --lines 127.0.0.1:1 are the same address",
		"zmq-queue --listen 127.0.0.1:1 --back 127.0.0.1:1":    "--listen 127.0.0.1:1 and --back 127.0.0.1:1 are the same address",
	} {
		for _, check := range []string{"", " --check"} {
			_, complaint, code := once(t, "", strings.Fields("serve "+call+check)...)
			if code != exitUsage || !strings.Contains(complaint, want) {
				t.Errorf("%s: exit code %d, %s", call, code, complaint)
			}
		}
	}
}
