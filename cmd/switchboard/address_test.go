package main

import (
	"strings"
	"testing"
)

func TestAddressesAreReadInEveryUsualForm(t *testing.T) {
	for in, want := range map[string]address{
		"127.0.0.1:7007":         {"tcp", "127.0.0.1:7007"},
		"localhost:0":            {"tcp", "localhost:0"},
		":7007":                  {"tcp", ":7007"},
		"tcp://127.0.0.1:7":      {"tcp", "127.0.0.1:7"},
		"tcp://[::1]:7":          {"tcp", "[::1]:7"},
		"[fe80::1%eth0]:7":       {"tcp", "[fe80::1%eth0]:7"},
		"example.org:http":       {"tcp", "example.org:80"},
		"127.0.0.1:0080":         {"tcp", "127.0.0.1:80"},
		"unix:///tmp/s.sock":     {"unix", "/tmp/s.sock"},
		"unix:/tmp/s.sock":       {"unix", "/tmp/s.sock"},
		"unix:s.sock":            {"unix", "./s.sock"},
		"unix:@abstract":         {"unix", "@abstract"},
		"unix://@abstract":       {"unix", "@abstract"},
		"/tmp/s.sock":            {"unix", "/tmp/s.sock"},
		"./s.sock":               {"unix", "./s.sock"},
		"@abstract":              {"unix", "@abstract"},
		"/tmp/odd://name":        {"unix", "/tmp/odd://name"},
		"fd://3":                 {"fd", "3"},
		"ws://127.0.0.1:7":       {"ws", "127.0.0.1:7"},
		"wss://[::1]:7/":         {"wss", "[::1]:7"},
		"unix:/tmp/with a space": {"unix", "/tmp/with a space"},
	} {
		got, err := parseAddress(in)
		if err != nil || got != want {
			t.Errorf("%q: %+v, %v, want %+v", in, got, err, want)
		}
	}
}

func TestWrongAddressesSayWhatToWriteInstead(t *testing.T) {
	for in, want := range map[string]string{
		"":                  "try 127.0.0.1:7007",
		"7007":              "try 127.0.0.1:7007",
		"localhost":         "try localhost:7007",
		"127.0.0.1":         "try 127.0.0.1:7007",
		"::1":               "try [::1]:7007",
		"::1:7":             "try [::1:7]:7007",
		"[::1]":             "the port is missing",
		"[::1":              "try HOST:PORT",
		"a:b:c":             "try HOST:PORT",
		"127.0.0.1:":        "not a port",
		"99999":             "0 to 65535",
		"127.0.0.1:65536":   "0 to 65535",
		"127.0.0.1:-1":      "0 to 65535",
		"127.0.0.1:nothing": "not a port",
		"two words:7":       "nor a path",
		"tmp/s.sock":        "begins with /",
		"http://example:80": "unknown scheme",
		"udp://:7":          "dial --udp",
		"unix:":             "try unix:/tmp/",
		"@":                 "try unix:/tmp/",
		"unix:/tmp/a\x00b":  "zero byte",
		"fd://":             "try fd://3",
		"fd://-1":           "try fd://3",
		"fd://4294967296":   "try fd://3",
	} {
		if got, err := parseAddress(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %+v, %v, want an error with %q", in, got, err, want)
		}
	}
}

// Whatever is accepted is written back in a form that reads as the same address, and an error is one line.
func FuzzParseAddress(f *testing.F) {
	for _, s := range []string{
		"127.0.0.1:7007", "tcp://[::1]:7", "[fe80::1%lo]:http", "unix:///tmp/s.sock", "unix:@abstract", "fd://3", ":0",
		"::1", "a://b", "ws://a:1", "wss://[::1]:2/", "unix:a://b", "tcp://fd://3", "[::1", "@", "unix:@\x00", "[a]:1",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := parseAddress(s)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\r") {
				t.Errorf("%q: an error of several lines: %q", s, err)
			}
			return
		}
		if b, err := parseAddress(a.String()); err != nil || b != a {
			t.Errorf("%q is %+v, but its String %q is %+v, %v", s, a, a, b, err)
		}
	})
}
