package tlsconn_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard/internal/tlsconn"
)

// An openssl is the program s_client or s_server, which is spoken to through its standard input: it sends lines, and
// obeys the letters K and k (KeyUpdate with and without a request), R (renegotiate) and Q (end).
type openssl struct {
	t     testing.TB
	input io.WriteCloser
	lines chan string // of its output
}

func startOpenssl(t testing.TB, args ...string) *openssl {
	t.Helper()
	path, err := exec.LookPath("openssl")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	cmd := exec.Command(path, args...)
	input, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	o := &openssl{t, input, make(chan string, 100)}
	stopped := make(chan bool)
	go func() {
		defer close(o.lines)
		for s := bufio.NewScanner(output); s.Scan(); {
			select {
			case o.lines <- s.Text():
			case <-stopped:
			}
		}
	}()
	t.Cleanup(func() {
		close(stopped)
		cmd.Process.Kill()
		for range o.lines {
		}
		cmd.Wait()
	})
	return o
}

func (o *openssl) says(s string) {
	o.t.Helper()
	if _, err := io.WriteString(o.input, s); err != nil {
		o.t.Fatal(err)
	}
}

// hears waits for a line with the given prefix, and returns the rest of it.
func (o *openssl) hears(prefix string) string {
	o.t.Helper()
	for limit := time.After(patience); ; {
		select {
		case line, ok := <-o.lines:
			if rest, found := strings.CutPrefix(line, prefix); found {
				return rest
			}
			if !ok {
				o.t.Fatalf("it ended and never said %q", prefix)
			}
		case <-limit:
			o.t.Fatalf("it never said %q", prefix)
		}
	}
}

// ownFiles writes the certificate and its key.
func ownFiles(t testing.TB) (cert, key string) {
	t.Helper()
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	der, err := x509.MarshalPKCS8PrivateKey(own().PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{
		cert: {Type: "CERTIFICATE", Bytes: own().Certificate[0]},
		key:  {Type: "PRIVATE KEY", Bytes: der},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// withOpenssl runs a test with an owner on either side and openssl on the other, with pieces of a few sizes.
func withOpenssl(t *testing.T, version uint16, promise func(t *testing.T, o *owner, peer *openssl)) {
	flag := "-tls" + strings.ReplaceAll(strings.TrimPrefix(tls.VersionName(version), "TLS "), ".", "_")
	for _, n := range []int{1, 3, 64 << 10} {
		piece := func() int { return n }
		t.Run(fmt.Sprintf("s_client in pieces of %d", n), func(t *testing.T) {
			leavesNothing(t)
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			cert, _ := ownFiles(t)
			peer := startOpenssl(t, "s_client", flag, "-connect", l.Addr().String(), "-CAfile", cert,
				"-verify_return_error", "-servername", "localhost")
			wire, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			wire.SetDeadline(time.Now().Add(patience))
			o := newOwner(t, tlsconn.Server(serverConfig(version), wire), wire, piece)
			o.shakes()
			promise(t, o, peer)
		})
		t.Run(fmt.Sprintf("s_server in pieces of %d", n), func(t *testing.T) {
			leavesNothing(t)
			cert, key := ownFiles(t)
			peer := startOpenssl(t, "s_server", flag, "-accept", "127.0.0.1:0", "-cert", cert, "-key", key)
			wire, err := net.Dial("tcp", strings.TrimSpace(peer.hears("ACCEPT")))
			if err != nil {
				t.Fatal(err)
			}
			wire.SetDeadline(time.Now().Add(patience))
			o := newOwner(t, tlsconn.Client(clientConfig(version), wire), wire, piece)
			o.shakes()
			promise(t, o, peer)
		})
	}
}

func TestOpensslIsUnderstood(t *testing.T) {
	for _, v := range versions {
		t.Run(tls.VersionName(v), func(t *testing.T) {
			withOpenssl(t, v, func(t *testing.T, o *owner, peer *openssl) {
				if s := o.c.State(); s.Version != v {
					t.Errorf("the version is %s", tls.VersionName(s.Version))
				}
				for i := range 3 {
					line := fmt.Sprintf("line %d %s", i, strings.Repeat("x", 3000*i))
					peer.says(line + "\n")
					if got := o.reads(len(line) + 1); string(got) != line+"\n" {
						t.Fatalf("%.20q", got)
					}
					o.writes([]byte("answer to " + line + "\n"))
					if got := peer.hears("answer to "); got != line {
						t.Fatalf("openssl heard %.20q", got)
					}
				}
				peer.says("Q\n") // its orderly end
				if _, err := o.read(); err != io.EOF {
					t.Errorf("it ended, and Decrypt said %v", err)
				}
			})
		})
	}
}

func TestOpensslUpdatesItsKeysAndOurs(t *testing.T) {
	withOpenssl(t, tls.VersionTLS13, func(t *testing.T, o *owner, peer *openssl) {
		peer.says("hello\n")
		o.reads(6) // what s_server sends by itself came before it
		for i, update := range []string{"K\n", "k\n", "K\n", "K\n"} {
			answers, received := o.answers, o.received
			peer.says(update)
			for o.received < received+27 { // a record of 5 bytes, their type and their tag
				if err := o.readOnce(); err != nil {
					t.Fatal(err)
				}
			}
			line := fmt.Sprintf("line %d", i)
			peer.says(line + "\n")
			if got := o.reads(len(line) + 1); string(got) != line+"\n" {
				t.Fatalf("%q", got)
			}
			if (o.answers > answers) != (update == "K\n") {
				t.Errorf("%q was answered with %d bytes", update, o.answers-answers)
			}
			o.writes([]byte("answer to " + line + "\n"))
			peer.hears("answer to " + line)
		}
	})
}

func TestOpensslMayNotRenegotiate(t *testing.T) {
	withOpenssl(t, tls.VersionTLS12, func(t *testing.T, o *owner, peer *openssl) {
		peer.says("R\n") // s_server knows it as r
		peer.says("r\n")
		for {
			p, err := o.read()
			if len(p) > 0 && err == nil {
				continue // s_client sends a line with the letter it does not know
			}
			if err == nil || !strings.Contains(err.Error(), "tls: ") || !o.c.Spoilt() {
				t.Errorf("it ended with %v", err)
			}
			return
		}
	})
}
