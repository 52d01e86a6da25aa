//go:build unix

package proxyproto

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard/certs"
	"github.com/switchboard-go/switchboard/socket"
)

// program finds a program that nobody here wrote.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/" + name)
	}
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	return path
}

// listener is a listening socket that a child process gets, on a port that the system chose. It accepts clients at once.
func listener(t *testing.T) (address string, file *os.File) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if file, err = l.(*net.TCPListener).File(); err != nil {
		t.Fatal(err)
	}
	return l.Addr().String(), file
}

// starts runs a program until the test ends, with files from descriptor 3 on.
func starts(t *testing.T, files []*os.File, env string, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(program(t, name), args...)
	cmd.Env = append(os.Environ(), env)
	cmd.ExtraFiles = files
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		f.Close()
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
}

func write(t *testing.T, name, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// haproxy runs HAProxy with a configuration that binds fd@3 and so on.
func haproxy(t *testing.T, files []*os.File, config string) {
	t.Helper()
	starts(t, files, "X=1", "haproxy", "-db", "-f", write(t, "haproxy.cfg", `
defaults
  timeout connect 60s
  timeout client 60s
  timeout server 60s
`+config))
}

// reserved is an address whose port the test holds until it ends: who listens there must say reuseport.
func reserved(t *testing.T) (address string) {
	t.Helper()
	s, err := socket.New(socket.AF_INET, socket.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if err := s.SetOption(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1); err != nil {
		t.Fatal(err)
	}
	if err := s.Bind(socket.InetAddr(netip.MustParseAddrPort("127.0.0.1:0"))); err != nil {
		t.Fatal(err)
	}
	at, err := s.LocalAddr()
	if err != nil {
		t.Fatal(err)
	}
	return at.String()
}

// nginx runs nginx, and waits until it listens at an address.
func nginx(t *testing.T, address, config string) {
	t.Helper()
	dir := t.TempDir()
	path := write(t, "nginx.conf", fmt.Sprintf("daemon off; master_process off; pid %s/pid; error_log stderr error;\n", dir)+
		strings.ReplaceAll(config, "TEMP", dir))
	starts(t, nil, "X=1", "nginx", "-p", dir, "-c", path, "-e", "stderr")
	for limit := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		if c, err := net.Dial("tcp", address); err == nil {
			c.Close()
			return
		} else if time.Now().After(limit) {
			t.Fatal(err)
		}
	}
}

// pair is a certificate and its files, in one for HAProxy.
func pair(t *testing.T, name string) (cert tls.Certificate, path string) {
	t.Helper()
	cert, err := certs.SelfSigned(name)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]})
	return cert, write(t, "pair.pem", string(text)+string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})))
}

// believer runs an HAProxy that tells for whom it believes a connection to be.
func believer(t *testing.T) (address string) {
	t.Helper()
	address, file := listener(t)
	haproxy(t, []*os.File{file}, `
frontend here
  mode http
  bind fd@3 accept-proxy
  http-request return content-type text/plain lf-string "%[src]:%[src_port] to %[dst]:%[dst_port] name %[fc_pp_authority] id %[fc_pp_unique_id,hex]"
`)
	return address
}

// believingNginx is believer with nginx.
func believingNginx(t *testing.T) (address string) {
	t.Helper()
	address = reserved(t)
	nginx(t, address, fmt.Sprintf(`events {} http { access_log off;
client_body_temp_path TEMP/b; proxy_temp_path TEMP/p; fastcgi_temp_path TEMP/f; uwsgi_temp_path TEMP/u; scgi_temp_path TEMP/s;
server { listen %s proxy_protocol reuseport; location / { return 200 "$proxy_protocol_addr:$proxy_protocol_port to $proxy_protocol_server_addr:$proxy_protocol_server_port"; } } }`, address))
	return address
}
