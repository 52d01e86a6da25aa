package scenarios

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
)

// pemFiles writes a certificate and its key.
func pemFiles(t testing.TB, c tls.Certificate) (cert, key string) {
	t.Helper()
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{
		cert: {Type: "CERTIFICATE", Bytes: c.Certificate[0]},
		key:  {Type: "PRIVATE KEY", Bytes: der},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// A conversation is with a program that is spoken to through its standard input.
type conversation struct {
	t     testing.TB
	input io.WriteCloser
	lines chan string // of its output
}

// talk starts a program and ends it with the test.
func talk(t testing.TB, name string, args ...string) *conversation {
	t.Helper()
	cmd := exec.Command(program(t, name), args...)
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
	c := &conversation{t, input, make(chan string)}
	stopped := make(chan bool)
	go func() {
		defer close(c.lines)
		for s := bufio.NewScanner(output); s.Scan(); {
			select {
			case c.lines <- s.Text():
			case <-stopped:
			}
		}
	}()
	t.Cleanup(func() {
		close(stopped)
		cmd.Process.Kill()
		for range c.lines {
		}
		cmd.Wait()
	})
	return c
}

func (c *conversation) says(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c.input, s); err != nil {
		c.t.Fatal(err)
	}
}

// hearsLine waits for a line; what comes before it does not matter.
func (c *conversation) hearsLine(want string) {
	c.t.Helper()
	c.hearsBeginning(want, true)
}

// hearsBeginning waits for a line that begins so, and returns the rest of it.
func (c *conversation) hearsBeginning(want string, whole bool) (rest string) {
	c.t.Helper()
	for limit := time.After(patience); ; {
		select {
		case line, ok := <-c.lines:
			if rest, ok := strings.CutPrefix(line, want); ok && (rest == "" || !whole) {
				return rest
			}
			if !ok {
				c.t.Fatalf("it ended and never said %q", want)
			}
		case <-limit:
			c.t.Fatalf("it never said %q", want)
		}
	}
}

// openssl connects as openssl s_client does, which obeys the letters R (renegotiate), K and k (update keys).
func openssl(t testing.TB, address string, args ...string) *conversation {
	t.Helper()
	cert, _ := pemFiles(t, ours())
	return talk(t, "openssl", append([]string{"s_client", "-connect", address, "-CAfile", cert, "-verify_return_error",
		"-servername", "localhost"}, args...)...)
}

// Each of these says a lot, ends its output and hears everything again.
func TestProgramsThatNobodyHereWroteAreServedOverTLS(t *testing.T) {
	onEveryVersion(t, func(t *testing.T, s *switchboard.Server, client *tls.Config) {
		s.Accept = everyone(echo)
		address := start(t, s)
		host, port, _ := net.SplitHostPort(address)
		cert, _ := pemFiles(t, ours())
		said := noise(1, 300_000)
		version := map[uint16]string{tls.VersionTLS12: "1_2", tls.VersionTLS13: "1_3"}[client.MaxVersion]
		script := `
import socket, ssl, sys
host, port, cafile, version = sys.argv[1:]
context = ssl.create_default_context(cafile=cafile)
context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, "TLSv" + version)
said = sys.stdin.buffer.read()
with context.wrap_socket(socket.create_connection((host, int(port))), server_hostname="localhost") as s:
    heard = b""
    for i in range(0, len(said), 50000):  # in turn: the ssl module cannot send and receive at once
        s.sendall(said[i:i + 50000])
        while len(heard) < min(i + 50000, len(said)):
            heard += s.recv(100000)
    sys.stdout.buffer.write(heard)
    s.unwrap().close()  # waits for the server's close_notify
`
		if heard := run(t, said, "python3", "-c", script, host, port, cert, version); heard != said {
			t.Errorf("python3: %d bytes came back of %d", len(heard), len(said))
		}
		if heard := run(t, said, "socat", "-t30", "-", "OPENSSL:"+address+",commonname=localhost,cafile="+cert); heard != said {
			t.Errorf("socat: %d bytes came back of %d", len(heard), len(said))
		}
	})
}

func TestOpensslIsServedLineByLine(t *testing.T) {
	onEveryVersion(t, func(t *testing.T, s *switchboard.Server, client *tls.Config) {
		h := watch((*switchboard.Conn).Write)
		s.Accept = everyone(h)
		version := map[uint16]string{tls.VersionTLS12: "-tls1_2", tls.VersionTLS13: "-tls1_3"}[client.MaxVersion]
		c := openssl(t, start(t, s), version)
		for i := range 20 {
			c.says(fmt.Sprintf("line %d\n", i))
			c.hearsLine(fmt.Sprintf("line %d", i))
		}
		c.says("Q\n") // ends with a close_notify
		if err := next(t, h.ended); err != nil {
			t.Errorf("ended with %v", err)
		}
	})
}

func TestCurlIsServedByReadRequestOverTLS(t *testing.T) {
	onEveryVersion(t, func(t *testing.T, s *switchboard.Server, client *tls.Config) {
		s.Accept = everyone(switchboard.Blocking(func(conn net.Conn, r *bufio.Reader) error {
			req, err := http.ReadRequest(r)
			if err != nil {
				return err
			}
			body, err := io.ReadAll(req.Body)
			if err != nil {
				return err
			}
			answer := fmt.Sprintf("%s %s %d\n", req.Method, req.URL, len(body))
			return (&http.Response{StatusCode: 200, ProtoMajor: 1, ProtoMinor: 1, ContentLength: int64(len(answer)),
				Body: io.NopCloser(strings.NewReader(answer))}).Write(conn)
		}))
		cert, _ := pemFiles(t, ours())
		version := map[uint16]string{tls.VersionTLS12: "1.2", tls.VersionTLS13: "1.3"}[client.MaxVersion]
		url := "https://" + start(t, s)
		got := run(t, strings.Repeat("body", 100_000), "curl", "-sS", "--cacert", cert, "--tlsv1.2", "--tls-max", version,
			"--data-binary", "@-", url+"/one", "--next", "--cacert", cert, url+"/two")
		if got != "POST /one 400000\nGET /two 0\n" {
			t.Errorf("got %q", got)
		}
	})
}

// s_server sends back each line, reversed.
func TestDialTLSReachesOpenssl(t *testing.T) {
	onEveryVersion(t, func(t *testing.T, s *switchboard.Server, client *tls.Config) {
		cert, key := pemFiles(t, ours())
		version := map[uint16]string{tls.VersionTLS12: "-tls1_2", tls.VersionTLS13: "-tls1_3"}[client.MaxVersion]
		server := talk(t, "openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", cert, "-key", key, "-rev", version)
		address := server.hearsBeginning("ACCEPT ", false)
		heard := make(chan string, 10)
		h := &greeter{watched: watch(func(c *switchboard.Conn, p []byte) (int, error) {
			heard <- string(p)
			return len(p), nil
		}), greeting: "stressed\n"}
		dialling(t, s)
		if _, err := s.DialTLS(context.Background(), address, client, h); err != nil {
			t.Fatal(err)
		}
		if got := next(t, heard); got != "desserts\n" {
			t.Errorf("heard %q", got)
		}
	})
}

// A greeter says something as soon as its dialled connection is there.
type greeter struct {
	*watched
	greeting string
}

func (h *greeter) Opened(c *switchboard.Conn) error {
	_, err := c.Write([]byte(h.greeting))
	return err
}
