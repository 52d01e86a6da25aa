//go:build unix

package main

import (
	"crypto/tls"
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

// haproxyBinary finds HAProxy.
func haproxyBinary(t testing.TB) (path string) {
	t.Helper()
	path, err := exec.LookPath("haproxy")
	if err != nil {
		path = "/usr/sbin/haproxy"
	}
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	return path
}

// runHAProxy starts HAProxy with a section of its configuration that binds fd@3, which is at the address.
func runHAProxy(t testing.TB, section string) (address string) {
	t.Helper()
	program := haproxyBinary(t)
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
`+section)
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

// haproxy starts HAProxy as a target that tells for whom it believes a connection to be.
func haproxy(t testing.TB, bind string) (address string) {
	t.Helper()
	return runHAProxy(t, `
frontend here
  mode http
  bind fd@3 `+bind+`
  http-request return content-type text/plain lf-string "%[src]:%[src_port] to %[dst]:%[dst_port] name %[fc_pp_authority]\n"
`)
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
		if err != nil || !strings.Contains(string(heard), "\n192.0.2.1:1234 to 192.0.2.2:80 name ") {
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

// HAProxy in front of the proxy says to which address the client has connected, and which name it has asked for over TLS. HAProxy
// behind it learns that.
func TestTheProxyPassesOnWhatHAProxySays(t *testing.T) {
	t.Parallel()
	cert, key := newAuthority(t).pair("front.example")
	both := writeFile(t, filepath.Join(t.TempDir(), "both.pem"), readFile(t, cert)+readFile(t, key))
	for _, version := range []string{"v1", "v2"} {
		proxy := proxyTo(t, []string{haproxy(t, "accept-proxy")}, "--proxy-protocol-from=127.0.0.0/8", "--to-proxy-protocol="+version)
		front := runHAProxy(t, `
listen front
  bind fd@3 ssl crt `+both+`
  server s `+proxy.addrs[0]+` send-proxy-v2 proxy-v2-options ssl,authority,crc32c
`)
		conn, err := tls.Dial("tcp", front, &tls.Config{InsecureSkipVerify: true, ServerName: "front.example"})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(patience))
		io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n")
		heard, err := io.ReadAll(conn)
		want := "\n" + conn.LocalAddr().String() + " to " + front + " name "
		if version == "v2" {
			want += "front.example\n"
		}
		if err != nil || !strings.Contains(string(heard), want) {
			t.Errorf("%s: heard %q, %v, want %q", version, heard, err, want)
		}
	}
}
