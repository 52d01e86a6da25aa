//go:build unix

package proxyproto

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/certs"
	"github.com/switchboard-go/switchboard/socket"
)

const patience = 60 * time.Second

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

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

// A teller tells each client what it knows of it, and ends.
type teller struct{}

func (teller) Opened(c *switchboard.Conn) error {
	h := switchboard.Value[*Header](c)
	fmt.Fprintf(c, "%v", c.RemoteAddr())
	if h != nil {
		fmt.Fprintf(c, " to %v by version %d, name %q, id %q, sum %v", h.Destination, h.Version, h.Get(Authority), h.Get(UniqueID),
			len(h.Get(CRC32C)) == 4)
		if told := h.TLS(); told != nil {
			fmt.Fprintf(c, ", TLS %+v", *told)
		}
	}
	fmt.Fprintln(c)
	c.Close()
	return nil
}

func (teller) Data(_ *switchboard.Conn, p []byte) (int, error) { return len(p), nil }
func (teller) Closed(*switchboard.Conn, error)                 {}

// serves runs a server that believes loopback, and tells of health checks.
func serves(t *testing.T, config *tls.Config) (address string, checks <-chan struct{}) {
	t.Helper()
	checked := make(chan struct{}, 1000)
	at := make(chan string, 1)
	s := &switchboard.Server{
		Loops:     2,
		TLSConfig: config,
		Handler:   teller{},
		Logger:    slog.New(slog.NewTextHandler(t.Output(), nil)),
		Listening: func(a net.Addr) { at <- a.String() },
		Admission: []switchboard.Admitter{&Receiver{From: loopback, Received: func(c *switchboard.Conn, h *Header) error {
			if h.Local {
				select {
				case checked <- struct{}{}:
				default:
				}
			}
			c.SetValue(h)
			return nil
		}}},
	}
	ended := make(chan error, 1)
	go func() { ended <- s.ListenAndServe("127.0.0.1:0") }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		s.Close()
		s.Shutdown(ctx)
		if err := <-ended; !errors.Is(err, switchboard.ErrServerClosed) {
			t.Error(err)
		}
	})
	return <-at, checked
}

// hears connects, and returns what it hears and its own address.
func hears(t *testing.T, address string, config *tls.Config, says string) (heard, own string) {
	t.Helper()
	c, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	own = c.LocalAddr().String()
	if config != nil {
		c = tls.Client(c, config)
	}
	c.SetDeadline(time.Now().Add(patience))
	io.WriteString(c, says)
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		t.Fatalf("heard %q, %v", line, err)
	}
	return strings.TrimSpace(line), own
}

func TestHAProxySaysForWhomItConnects(t *testing.T) {
	t.Parallel()
	address, checks := serves(t, nil)
	cert, path := pair(t, "front.example")
	client, _ := pair(t, "client.example")
	ca := write(t, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: client.Certificate[0]})))
	var addresses [4]string
	var files []*os.File
	for i := range addresses {
		at, file := listener(t)
		addresses[i], files = at, append(files, file)
	}
	haproxy(t, files, fmt.Sprintf(`
frontend one
  bind fd@3
  default_backend one
backend one
  server s %[1]s send-proxy
frontend two
  bind fd@4
  default_backend two
backend two
  server s %[1]s send-proxy-v2 check inter 50ms proxy-v2-options crc32c,unique-id
frontend secure
  bind fd@5 ssl crt %[2]s
  default_backend secure
backend secure
  server s %[1]s send-proxy-v2 proxy-v2-options ssl,ssl-cipher,cert-sig,cert-key,authority
frontend mutual
  bind fd@6 ssl crt %[2]s ca-file %[3]s verify required ca-ignore-err all crt-ignore-err all
  default_backend mutual
backend mutual
  server s %[1]s send-proxy-v2 proxy-v2-options ssl,cert-cn,authority
`, address, path, ca))
	_ = cert
	config := &tls.Config{InsecureSkipVerify: true, ServerName: "front.example", Certificates: []tls.Certificate{client}}
	for i, c := range []struct {
		config *tls.Config
		wants  []string
	}{
		{nil, []string{"by version 1"}},
		{nil, []string{"by version 2", "sum true"}},
		{config, []string{"by version 2", `name "front.example"`, "Version:TLSv1.3 Cipher:TLS_", "SigAlg:ecdsa-with-SHA256 KeyAlg:EC256"}},
		{config, []string{`name "front.example"`, "Certificate:true Session:true", "CommonName:"}},
	} {
		heard, own := hears(t, addresses[i], c.config, "")
		for _, want := range append(c.wants, own+" to "+addresses[i]) {
			if !strings.Contains(heard, want) {
				t.Errorf("%d: heard %q, without %q", i, heard, want)
			}
		}
		t.Log(heard)
	}
	select { // a health check speaks for nobody
	case <-checks:
	case <-time.After(patience):
		t.Error("no health check came")
	}
}

func TestNginxSaysForWhomItConnects(t *testing.T) {
	t.Parallel()
	const module = "/usr/lib/nginx/modules/ngx_stream_module.so"
	if _, err := os.Stat(module); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	address, _ := serves(t, nil)
	at := reserved(t)
	nginx(t, at, fmt.Sprintf(`load_module %s; events {}
stream { server { listen %s reuseport; proxy_pass %s; proxy_protocol on; } }`, module, at, address))
	heard, own := hears(t, at, nil, "")
	if want := own + " to " + at + " by version 1"; !strings.HasPrefix(heard, want) {
		t.Errorf("heard %q, want %q", heard, want)
	}
}

// A proxy of ours that says for whom it connects, in front of a server that nobody here wrote. It takes headers from those that
// the receiver names, if there is one.
func proxies(t *testing.T, to string, version int, config *tls.Config, receiver ...switchboard.Admitter) (address string) {
	t.Helper()
	at := make(chan string, 1)
	s := &switchboard.Server{
		TLSConfig: config,
		Logger:    slog.New(slog.NewTextHandler(t.Output(), nil)),
		Listening: func(a net.Addr) { at <- a.String() },
		Admission: receiver,
		Accept: func(c *switchboard.Conn) (switchboard.Handler, error) {
			return nil, c.DialPipe(context.Background(), to, nil, &sender{Forward(c, switchboard.Value[*Header](c), version)})
		},
	}
	ended := make(chan error, 1)
	go func() { ended <- s.ListenAndServe("127.0.0.1:0") }()
	t.Cleanup(func() {
		s.Close()
		<-ended
	})
	return <-at
}

// A sender writes a header when the target is there.
type sender struct{ header *Header }

func (s *sender) Opened(to *switchboard.Conn) error {
	b, err := s.header.Append(nil)
	if err == nil {
		_, err = to.Write(b)
	}
	return err
}

func (*sender) Data(_ *switchboard.Conn, p []byte) (int, error) { return len(p), nil }
func (*sender) Closed(*switchboard.Conn, error)                 {}

const request = "GET / HTTP/1.0\r\nHost: x\r\n\r\n"

// body asks over HTTP, and returns the last line of the answer.
func body(t *testing.T, address string, config *tls.Config) (text, own string) {
	t.Helper()
	c, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	own = c.LocalAddr().String()
	if config != nil {
		c = tls.Client(c, config)
	}
	c.SetDeadline(time.Now().Add(patience))
	io.WriteString(c, request)
	all, err := io.ReadAll(c)
	if err != nil {
		t.Fatalf("heard %q, %v", all, err)
	}
	_, text, _ = strings.Cut(string(all), "\r\n\r\n")
	return text, own
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

func TestHAProxyBelievesWhatWeSay(t *testing.T) {
	t.Parallel()
	at := believer(t)
	cert, _ := pair(t, "ours.example")
	for _, c := range []struct {
		version int
		secure  bool
	}{{1, false}, {2, false}, {2, true}} {
		var server, client *tls.Config
		name := ""
		if c.secure {
			server = &tls.Config{Certificates: []tls.Certificate{cert}}
			client = &tls.Config{InsecureSkipVerify: true, ServerName: "ours.example"}
			name = "ours.example"
		}
		proxy := proxies(t, at, c.version, server)
		if heard, own := body(t, proxy, client); heard != own+" to "+proxy+" name "+name+" id " {
			t.Errorf("version %d: heard %q from %s by %s", c.version, heard, own, proxy)
		}
	}
}

func TestNginxBelievesWhatWeSay(t *testing.T) {
	t.Parallel()
	at := believingNginx(t)
	for version := 1; version <= 2; version++ {
		proxy := proxies(t, at, version, nil)
		if heard, own := body(t, proxy, nil); heard != own+" to "+proxy {
			t.Errorf("version %d: heard %q from %s by %s", version, heard, own, proxy)
		}
	}
}

// HAProxy is in front of a proxy of ours, which has others behind it: they learn what HAProxy says, and not what ours sees.
func TestWhatAProxyInFrontSaysIsPassedOn(t *testing.T) {
	t.Parallel()
	_, path := pair(t, "theirs.example")
	ours, _ := pair(t, "ours.example")
	receiver := &Receiver{From: loopback, Received: func(c *switchboard.Conn, h *Header) error {
		c.SetValue(h)
		return nil
	}}
	told, _ := serves(t, nil)
	secure := &tls.Config{Certificates: []tls.Certificate{ours}}
	asks := func(name string) *tls.Config { return &tls.Config{InsecureSkipVerify: true, ServerName: name} }
	const options = "send-proxy-v2 proxy-v2-options ssl,ssl-cipher,authority,crc32c,unique-id"
	for _, c := range []struct {
		name            string
		behind          func(t *testing.T) string
		version         int
		bind, server    string
		client, between *tls.Config
		want            string // %[1]s: the client, %[2]s: HAProxy
	}{
		{"HAProxy by version 1", believer, 1, "", "send-proxy", nil, nil, "%s to %s name  id "},
		{"HAProxy by version 2 from 1", believer, 2, "", "send-proxy", nil, nil, "%s to %s name  id "},
		{"HAProxy by version 1 from 2", believer, 1, "ssl crt " + path, options, asks("theirs.example"), nil, "%s to %s name  id "},
		{"HAProxy by version 2", believer, 2, "ssl crt " + path, options, asks("theirs.example"), nil, "%s to %s name theirs.example id 75"},
		{"HAProxy, and TLS with ours only", believer, 2, "", "send-proxy-v2", asks("ours.example"), secure, "%s to %s name ours.example id "},
		{"nginx by version 1", believingNginx, 1, "", "send-proxy-v2", nil, nil, "%s to %s"},
		{"nginx by version 2", believingNginx, 2, "", options, nil, nil, "%s to %s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			proxy := proxies(t, c.behind(t), c.version, c.between, receiver)
			front, file := listener(t)
			haproxy(t, []*os.File{file}, fmt.Sprintf("listen front\n  bind fd@3 %s\n  unique-id-format u\n  server s %s %s\n", c.bind, proxy, c.server))
			heard, own := body(t, front, c.client)
			if want := fmt.Sprintf(c.want, own, front); heard != want {
				t.Errorf("heard %q, want %q", heard, want)
			}
		})
	}
	for name, c := range map[string]struct {
		bind, server string
		client       *tls.Config
		between      *tls.Config
		want         string
	}{
		"TLS with HAProxy": {"ssl crt " + path, options, asks("theirs.example"), nil, `name "theirs.example", id "u", sum true, TLS {Version:TLSv1.3`},
		"TLS with both": {"ssl crt " + path, options + " ssl verify none sni str(ours.example)", asks("theirs.example"), secure,
			`name "theirs.example", id "u", sum true, TLS {Version:TLSv1.3`},
		"TLS with ours": {"", "send-proxy-v2", asks("ours.example"), secure, `name "ours.example", id "", sum false, TLS {Version:TLSv1.3`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy := proxies(t, told, 2, c.between, receiver)
			front, file := listener(t)
			haproxy(t, []*os.File{file}, fmt.Sprintf("listen front\n  bind fd@3 %s\n  unique-id-format u\n  server s %s %s\n", c.bind, proxy, c.server))
			heard, own := hears(t, front, c.client, "")
			if want := own + " to " + front + " by version 2, " + c.want; !strings.HasPrefix(heard, want) {
				t.Errorf("heard %q, want %q", heard, want)
			}
		})
	}
}

// Before TLS, and only from named addresses.
func TestAReceiverServesTLSBehindTheHeader(t *testing.T) {
	t.Parallel()
	cert, _ := pair(t, "ours.example")
	address, _ := serves(t, &tls.Config{Certificates: []tls.Certificate{cert}})
	c, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	io.WriteString(c, "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n")
	secure := tls.Client(c, &tls.Config{InsecureSkipVerify: true})
	if heard, err := io.ReadAll(secure); err != nil || !strings.HasPrefix(string(heard), "192.0.2.1:1 to 192.0.2.2:2 by version 1") {
		t.Errorf("heard %q, %v", heard, err)
	}
}

func TestAProxyThatSendsNoHeaderIsRefused(t *testing.T) {
	t.Parallel()
	address, _ := serves(t, nil)
	c, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	io.WriteString(c, request)
	if heard, err := io.ReadAll(c); err == nil {
		t.Errorf("heard %q, and an end in order", heard)
	}
}

func TestOthersAreServedWithoutAHeader(t *testing.T) {
	t.Parallel()
	for _, r := range []*Receiver{{}, {From: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}} {
		at := make(chan string, 1)
		s := &switchboard.Server{Loops: 1, Handler: switchboard.DataFunc((*switchboard.Conn).Write), Admission: []switchboard.Admitter{r},
			Listening: func(a net.Addr) { at <- a.String() }}
		ended := make(chan error, 1)
		go func() { ended <- s.ListenAndServe("127.0.0.1:0") }()
		const line = "PROXY TCP4 1.2.3.4 5.6.7.8 1 2"
		if heard, _ := hears(t, <-at, nil, line+"\r\n"); heard != line {
			t.Errorf("heard %q", heard)
		}
		s.Close()
		<-ended
	}
}
