//go:build unix

package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestTargetsGetClientsByTheirWeights(t *testing.T) {
	t.Parallel()
	a, b, c := named(t, "a"), named(t, "b"), named(t, "c")
	proxy := proxyTo(t, []string{a + " weight=3", b, c + " weight=0"})
	said := ""
	for range 8 {
		name, conn := nameFor(t, proxy)
		conn.Close()
		said += name
	}
	if said != "aabaaaba" {
		t.Errorf("the clients got %s", said)
	}
	proxy = proxyTo(t, []string{a + " weight=3", b}, "--balance=least-conn")
	counts := map[string]int{}
	for range 8 {
		name, _ := nameFor(t, proxy)
		counts[name]++
	}
	if counts["a"] != 6 || counts["b"] != 2 {
		t.Errorf("%v clients", counts)
	}
}

// tlsNamed is named, over TLS.
func tlsNamed(t testing.TB, name string, cert, key string) string {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				io.WriteString(conn, name)
				io.Copy(io.Discard, conn)
			}()
		}
	}()
	return l.Addr().String()
}

func TestClientsGoToTheTargetOfTheNameTheyAskFor(t *testing.T) {
	t.Parallel()
	cert, key := newAuthority(t).pair("localhost")
	secure := func(name string) string { return tlsNamed(t, name, cert, key) }
	plain := func(name string) string { return named(t, name) }
	for how, args := range map[string][]string{"passed on": nil, "decrypted": {"--tls-cert=" + cert, "--tls-key=" + key}} {
		target := secure
		if args != nil {
			target = plain
		}
		one, wild, deep, other := target("1"), target("w"), target("d"), target("o")
		proxy := proxyTo(t, []string{one + " sni=one.example sni=uno.example", wild + " sni=*.example", deep + " sni=deep.wild.example sni=two.example", other}, args...)
		for name, want := range map[string]string{
			"one.example": "1", "UNO.example": "1", "two.example": "d", "three.example": "w", "deep.wild.example": "d", "x.wild.example": "o",
			"example": "o", "": "o",
		} {
			conn, err := tls.Dial("tcp", proxy.addrs[0], &tls.Config{ServerName: name, InsecureSkipVerify: true})
			if err != nil {
				t.Fatal(err)
			}
			conn.SetDeadline(time.Now().Add(patience))
			got := make([]byte, 1)
			if _, err := io.ReadFull(conn, got); err != nil || string(got) != want {
				t.Errorf("%s: %q got %q, %v; want %q", how, name, got, err, want)
			}
			conn.Close()
		}
	}
	proxy := proxyTo(t, []string{secure("1") + " sni=one.example"})
	_, err := tls.Dial("tcp", proxy.addrs[0], &tls.Config{ServerName: "other.example", InsecureSkipVerify: true})
	if err == nil || !strings.Contains(err.Error(), "unrecognized name") {
		t.Errorf("who asks for another name got %v", err)
	}
	if !isReset(t, proxy.addrs[0]) {
		t.Error("who speaks no TLS was served")
	}
	e := proxy.await("refused a client", 1)
	if fmt.Sprint(e["reason"]) != `no target is for the name "other.example"` {
		t.Errorf("%v", e)
	}
	// A ClientHello in pieces, by OpenSSL.
	proxy = proxyTo(t, []string{secure("1") + " sni=one.example"})
	openssl := runs(t, "openssl", "s_client", "-connect", proxy.addrs[0], "-servername", "one.example", "-quiet")
	openssl.hears("1")
}

func TestATargetIsDrainedAndReplaced(t *testing.T) {
	t.Parallel()
	a, b := named(t, "a"), named(t, "b")
	config := filepath.Join(t.TempDir(), "proxy.toml")
	writeFile(t, config, fmt.Sprintf("service = \"proxy\"\nto = [%q]\n", a))
	proxy := start(t, exec.Command(os.Args[0], "serve", "--config="+config, "--log=json", "--verbose", "--listen=127.0.0.1:0"))
	name, kept := nameFor(t, proxy)
	if name != "a" {
		t.Fatalf("the client got %s", name)
	}
	writeFile(t, config, fmt.Sprintf("service = \"proxy\"\nto = [%q, %q]\n", a+" weight=0", b))
	proxy.reload(1)
	if e := proxy.await("a target gets no more clients", 1); e["target"] != a || e["clients"] != 1.0 {
		t.Errorf("%v", e)
	}
	for range 3 {
		name, conn := nameFor(t, proxy)
		if conn.Close(); name != "b" {
			t.Errorf("a client got %s", name)
		}
	}
	kept.Close()
	if e := proxy.await("a target is drained", 1); e["target"] != a {
		t.Errorf("%v", e)
	}
	writeFile(t, config, fmt.Sprintf("service = \"proxy\"\nto = [%q]\n", a))
	proxy.reload(2)
	proxy.await("a target is drained", 2) // b, which is not named any more
	if name, _ := nameFor(t, proxy); name != "a" {
		t.Errorf("the client got %s", name)
	}
	writeFile(t, config, "service = \"proxy\"\nto = []\n")
	proxy.cmd.Process.Signal(syscall.SIGHUP)
	proxy.await("what changed cannot be used", 1)
	if name, _ := nameFor(t, proxy); name != "a" {
		t.Errorf("the client got %s", name)
	}
}
