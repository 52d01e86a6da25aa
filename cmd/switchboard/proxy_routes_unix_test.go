//go:build unix

package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard/internal/systest"
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

// haproxy starts HAProxy as a target that tells for whom it believes a connection to be.
func haproxy(t testing.TB, bind string) (address string) {
	t.Helper()
	program, err := exec.LookPath("haproxy")
	if err != nil {
		program = "/usr/sbin/haproxy"
	}
	if _, err := os.Stat(program); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	file, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	config := writeFile(t, filepath.Join(t.TempDir(), "haproxy.cfg"), `
defaults
  timeout connect 60s
  timeout client 60s
  timeout server 60s
frontend here
  mode http
  bind fd@3 `+bind+`
  http-request return content-type text/plain lf-string "%[src]:%[src_port] name %[fc_pp_authority]\n"
`)
	cmd := exec.Command(program, "-db", "-f", config)
	cmd.ExtraFiles = []*os.File{file}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return l.Addr().String()
}

// The proxy believes who stands in front of it, and says so to its target, over TLS as well.
func TestTheProxyPassesOnForWhomItIs(t *testing.T) {
	t.Parallel()
	cert, key := newAuthority(t).pair("127.0.0.1")
	both := writeFile(t, filepath.Join(t.TempDir(), "both.pem"), readFile(t, cert)+readFile(t, key))
	for _, c := range []struct{ version, bind, scheme string }{
		{"v1", "accept-proxy", ""}, {"v2", "accept-proxy", ""}, {"v2", "accept-proxy ssl crt " + both, "tls://"},
	} {
		args := []string{"--proxy-protocol-from=127.0.0.0/8", "--to-proxy-protocol=" + c.version}
		if c.scheme != "" {
			args = append(args, "--to-tls-insecure")
		}
		proxy := proxyTo(t, []string{c.scheme + haproxy(t, c.bind)}, args...)
		conn := client(t, proxy)
		conn.SetDeadline(time.Now().Add(patience))
		io.WriteString(conn, "PROXY TCP4 192.0.2.1 192.0.2.2 1234 80\r\nGET / HTTP/1.0\r\n\r\n")
		heard, err := io.ReadAll(conn)
		if err != nil || !strings.Contains(string(heard), "\n192.0.2.1:1234 name ") {
			t.Errorf("%+v: heard %q, %v", c, heard, err)
		}
		if e := proxy.await("connected", 1); e["peer"] != "192.0.2.1:1234" {
			t.Errorf("%+v: %v", c, e)
		}
		if conn, err := net.Dial("tcp", proxy.addrs[0]); err == nil {
			io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n")
			if _, err = io.ReadAll(conn); !systest.Is(err, syscall.ECONNRESET) {
				t.Errorf("without a header: %v", err)
			}
			conn.Close()
		}
	}
}
