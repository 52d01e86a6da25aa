//go:build unix

package proxyproto

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
)

const patience = 60 * time.Second

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

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
