package field

import (
	"net/http"
	"strings"
	"testing"
)

func TestOrigins(t *testing.T) {
	for _, good := range []string{"*", "null", "https://example.org", "HTTPS://Example.org", "http://localhost:8080", "http://127.0.0.1:8080",
		"https://*.example.org", "https://*.example.org:8443", "https://[2001:db8::1]", "http://[::1]:8080", "http://example.org:443",
		"chrome-extension://abcdefghijklmnop", "https://xn--exmple-cua.org", "https://a_b.example"} {
		if err := CheckOrigin(good); err != nil {
			t.Error(err)
		}
	}
	for bad, why := range map[string]string{
		"":                          "try https://example.org, ",
		"foo":                       "try https://example.org, ",
		"example.org":               "the scheme is missing (try https://example.org)",
		"https://":                  "the host is missing",
		"https://example.org/":      "no path (try https://example.org)",
		"https://example.org/a?b":   "no path (try https://example.org)",
		"https://example.org?b":     "and no more",
		"https://me@example.org":    "and no more",
		"https://example.org:443":   "the usual port (try https://example.org)",
		"http://example.org:80":     "the usual port (try http://example.org)",
		"https://example.org:0":     "not a port",
		"https://example.org:":      "not a port",
		"https://example.org:66000": "not a port",
		"https://*":                 "not the whole first label",
		"https://a*.example.org":    "not the whole first label",
		"https://a.*.example.org":   "not the whole first label",
		"https://*.*.example.org":   "not the whole first label",
		"https://exämple.org":       "xn--",
		"https://a b":               "not the name of a host",
		"https://a..b":              "not the name of a host",
		"https://[::1":              "IPv6",
		"https://[127.0.0.1]":       "IPv6",
		"https://::1":               "not the name of a host",
		"a b://example.org":         "try https://example.org, ",
	} {
		if err := CheckOrigin(bad); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%q: %v, want %q", bad, err, why)
		}
	}
}

func TestSubprotocols(t *testing.T) {
	if err := CheckSubprotocols([]string{"chat", "v2.chat", "CHAT", "a+b!#$%&'*^_`|~"}); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"", "a b", "a,b", "a/b", "a:b", `"a"`, "é", "a\n", "chat"} {
		if err := CheckSubprotocols([]string{"chat", bad}); err == nil {
			t.Errorf("%q is good", bad)
		}
	}
}

func TestFieldsThatCannotBeSet(t *testing.T) {
	for _, set := range []Set{Handshake, Request, Answer} {
		for name, why := range set {
			if http.CanonicalHeaderKey(name) != name || why == "" {
				t.Errorf("%s: %s", name, why)
			}
			if err := set.Check(strings.ToLower(name), "x"); err == nil || !strings.Contains(err.Error(), why) {
				t.Errorf("%s: %v", name, err)
			}
		}
		for name, value := range map[string]string{"Cookie": "a=b; c=\"d\"", "Origin": "", "X-Name": "\t é", "Host": "[::1]:80"} {
			if err := set.CheckHeader(http.Header{name: {value}}); err != nil {
				t.Error(err)
			}
		}
		for name, values := range map[string][]string{"": {"a"}, "A b": {"a"}, "A:": {"a"}, "A": {"b\r\nC: d"}, "B": {"\x00"}, "C": {"\x7f"},
			"host": {""}, "Host": {"a", "b"}, "HOST": {"a b"}, "hosT": {"a/b"}, "hOst": {"u@a"}} {
			if err := set.CheckHeader(http.Header{name: values}); err == nil {
				t.Errorf("%q: %q is good", name, values)
			}
		}
	}
}
