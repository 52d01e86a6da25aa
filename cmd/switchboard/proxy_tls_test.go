package main

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

func TestCurlReachesAPlainServerThroughAProxyThatSpeaksTLS(t *testing.T) {
	inEveryVersion(t, func(t *testing.T, version string) {
		a := newAuthority(t)
		cert, key := a.pair("127.0.0.1")
		web, page := pythonWeb(t)
		proxy := proxyTo(t, []string{web}, "--tls-cert", cert, "--tls-key", key)
		url := "https://" + proxy.addrs[0] + "/page"
		got := peer(t, nil, "curl", "--silent", "--show-error", "--fail", "--cacert", a.file, "--tls-max", version, url, url)
		if !bytes.Equal(got, bytes.Repeat(page, 2)) {
			t.Errorf("%d bytes of two times %d", len(got), len(page))
		}
	})
}

// The client ends its output first, and the target answers after that: each half-close passes the proxy.
func TestTheProxyPassesHalfClosesOnOverTLS(t *testing.T) {
	inEveryVersion(t, func(t *testing.T, version string) {
		a := newAuthority(t)
		cert, key := a.pair("127.0.0.1")
		said := strings.Repeat("half-closed, and answered all the same\n", 50_000)
		target := "tls://" + pythonTLS(t, cert, key, version, "in order")
		plain := proxyTo(t, []string{target}, "--to-tls-ca", a.file)
		host, port, _ := net.SplitHostPort(plain.addrs[0])
		if heard := peer(t, []byte(said), "nc", "-N", host, port); string(heard) != strings.ToUpper(said) {
			t.Errorf("nc: %d bytes of %d", len(heard), len(said))
		}
		if e := plain.await("disconnected", 1); e["target"] != target || e["reason"] != nil {
			t.Errorf("%v", e)
		}
		secure := proxyTo(t, []string{target}, "--to-tls-ca", a.file, "--tls-cert", cert, "--tls-key", key)
		heard, complaint, code := once(t, said, "dial", "--tls-ca", a.file, "tls://"+secure.addrs[0])
		if heard != strings.ToUpper(said) || code != 0 {
			t.Errorf("dial: %d bytes of %d, exit code %d, %s", len(heard), len(said), code, complaint)
		}
	})
}

func TestTheProxyIsCutOffWithItsTarget(t *testing.T) {
	a := newAuthority(t)
	cert, key := a.pair("127.0.0.1")
	proxy := proxyTo(t, []string{"tls://" + pythonTLS(t, cert, key, "1.3", "cut off")}, "--to-tls-ca", a.file,
		"--tls-cert", cert, "--tls-key", key)
	heard, complaint, code := once(t, "said", "dial", "--tls-ca", a.file, "tls://"+proxy.addrs[0])
	if heard != "SAID" || code != exitFailed {
		t.Errorf("%q, exit code %d, %s", heard, code, complaint)
	}
}

func TestTheProxyVerifiesItsTargets(t *testing.T) {
	a := newAuthority(t)
	cert, key := a.pair("elsewhere.example")
	target := "tls://" + opensslServer(t, "-cert", cert, "-key", key)
	for _, call := range []struct {
		name  string
		flags []string
		why   string // "": it is trusted
	}{
		{"unknown", nil, "127.0.0.1"},
		{"unknown by whom it expects", []string{"--to-tls-server-name", "elsewhere.example"}, "unknown authority"},
		{"another's", []string{"--to-tls-ca", a.file}, "127.0.0.1"},
		{"who is expected", []string{"--to-tls-ca", a.file, "--to-tls-server-name", "elsewhere.example"}, ""},
		{"whoever it is", []string{"--to-tls-insecure"}, ""},
	} {
		proxy := proxyTo(t, []string{target}, call.flags...)
		heard, complaint, code := once(t, "stressed\n", "dial", "--timeout", "20s", proxy.addrs[0])
		if call.why == "" {
			if heard != "desserts\n" || code != 0 {
				t.Errorf("%s: %q, exit code %d, %s", call.name, heard, code, complaint)
			}
			continue
		}
		if heard != "" || code != exitFailed {
			t.Errorf("%s: %q, exit code %d, %s", call.name, heard, code, complaint)
		}
		e := proxy.await("a target does not answer", 1)
		if e["target"] != target || !strings.Contains(e["error"].(string), call.why) {
			t.Errorf("%s: %v", call.name, e)
		}
	}
}

func TestTheProxyTakesATargetBackWhenItsCertificateIsGoodAgain(t *testing.T) {
	a := newAuthority(t)
	cert, key := a.pair("127.0.0.1")
	a.writes(cert, key, "127.0.0.1", time.Now().Add(-time.Hour))
	target := serve(t, "echo", "--tls-cert", cert, "--tls-key", key)
	other := serve(t, "echo")
	proxy := proxyTo(t, []string{"tls://" + target.addrs[0], other.addrs[0]}, "--to-tls-ca", a.file)
	echoes(t, client(t, proxy), []byte("by the other one"))
	if e := proxy.await("a target does not answer", 1); !strings.Contains(e["error"].(string), "expired") {
		t.Errorf("%v", e)
	}
	a.writes(cert, key, "127.0.0.1", time.Time{})
	if e := proxy.await("a target answers again", 1); e["target"] != "tls://"+target.addrs[0] {
		t.Errorf("%v", e)
	}
	echoes(t, client(t, proxy), []byte("by either"))
	echoes(t, client(t, proxy), []byte("by either"))
	target.await("connected", 1)
}

func TestTheProxyShowsItsCertificateToItsTarget(t *testing.T) {
	a := newAuthority(t)
	cert, key := a.pair("127.0.0.1")
	target := opensslServer(t, "-cert", cert, "-key", key, "-CAfile", a.file, "-Verify", "1", "-verify_return_error")
	proxy := proxyTo(t, []string{"tls://" + target}, "--to-tls-ca", a.file, "--to-tls-cert", cert, "--to-tls-key", key)
	if heard, complaint, code := once(t, "live\n", "dial", proxy.addrs[0]); heard != "evil\n" || code != 0 {
		t.Errorf("%q, exit code %d, %s", heard, code, complaint)
	}
}

func TestTheProxySkipsATargetThatStallsItsHandshake(t *testing.T) {
	silent := listener(t, func(conn *net.TCPConn) { io.Copy(io.Discard, conn) })
	other := serve(t, "echo")
	proxy := proxyTo(t, []string{"tls://" + silent, other.addrs[0]}, "--tls-timeout", "200ms")
	echoes(t, client(t, proxy), []byte("by the other one"))
	e := proxy.await("a target does not answer", 1)
	if e["target"] != "tls://"+silent || !strings.Contains(e["error"].(string), "handshake") {
		t.Errorf("%v", e)
	}
}
