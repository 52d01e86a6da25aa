package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"unicode"
)

// hostile is a text that sets the title of a terminal, clears it, and begins lines of its own.
const hostile = "x\x1b]0;owned\a\x1b[2J\u009b31m\r\nverified for bank.example\n\u202e"

// harmless tells of what may not reach a terminal.
func harmless(t *testing.T, what, text string) {
	t.Helper()
	for _, r := range text {
		if r != '\n' && !unicode.IsPrint(r) {
			t.Errorf("%s: %q reached the terminal: %q", what, r, text)
			break
		}
	}
	for line := range strings.SplitSeq(text, "\n") {
		if strings.HasPrefix(line, "verified for bank") {
			t.Errorf("%s: a line was forged: %q", what, text)
		}
	}
}

// hostileCertificate is signed by the authority.
func hostileCertificate(t *testing.T, a *authority) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{DNSNames: []string{"one.example, two.example"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	der, key := a.sign(template, hostile)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestACertificateMovesNoCursor(t *testing.T) {
	a := newAuthority(t)
	own := hostileCertificate(t, a)
	where := listener(t, func(conn *net.TCPConn) {
		c := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{own}})
		if c.Handshake() == nil {
			io.WriteString(c, "raw \x1b payload")
			c.Close()
		}
	})
	for _, args := range [][]string{
		{"dial", "-v", "--tls-insecure"}, {"dial", "-v"}, {"dial", "-v", "--tls-ca", a.file},
		{"bench", "-q", "--conns=1", "--duration=100ms"}, {"bench", "-q", "--conns=1", "--duration=100ms", "--tls-ca", a.file},
	} {
		heard, complaint, _ := once(t, "", append(args, "tls://"+where)...)
		what := strings.Join(args, " ")
		if args[0] == "dial" && strings.Contains(what, "insecure") != (heard == "raw \x1b payload") {
			t.Errorf("%s: heard %q", what, heard)
		}
		if args[0] == "bench" {
			complaint += heard
		}
		harmless(t, what, complaint)
		if args[0] == "dial" && (!strings.Contains(complaint, `CN=x\x1b]0\;owned\a`) || !strings.Contains(complaint, `"one.example, two.example"`)) {
			t.Errorf("%s does not show the certificate: %s", what, complaint)
		}
	}
}

func TestAnAnswerOfHTTPMovesNoCursor(t *testing.T) {
	where := listener(t, func(conn *net.TCPConn) {
		bufio.NewReader(conn).ReadString('\n')
		io.WriteString(conn, "HTTP/1.1 403 "+strings.ReplaceAll(hostile, "\n", "")+"\r\nContent-Type: text/plain\r\nLocation: "+
			"http://x/\u009b\u202e\r\n\r\n"+hostile)
	})
	for _, args := range [][]string{{"dial", "-v"}, {"bench", "-q", "--conns=1", "--duration=100ms"}} {
		heard, complaint, code := once(t, "", append(args, "ws://"+where+"/")...)
		if code != exitFailed {
			t.Errorf("%v: exit code %d", args, code)
		}
		harmless(t, args[0], heard+complaint)
	}
}

// The log is read on terminals too, whatever its form.
func TestWhatClientsSayIsQuotedInTheLog(t *testing.T) {
	a := newAuthority(t)
	stranger := hostileCertificate(t, newAuthority(t))
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/file", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, form := range []string{"text", "json"} {
		for _, what := range [][]string{{"echo"}, {"web", "--root", dir, "--access-log", "common"}, {"web", "--root", dir, "--access-log", "json"}} {
			cmd := exec.Command(os.Args[0], append(append([]string{"serve"}, what...), "--listen=127.0.0.1:0", "--log", form, "-v",
				"--tls-self-signed", "--tls-client-ca", a.file)...)
			out, err := os.Create(dir + "/" + form + what[0])
			if err != nil {
				t.Fatal(err)
			}
			defer out.Close()
			cmd.Stdout, cmd.Stderr = out, out
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
			log := func() string {
				text, err := os.ReadFile(out.Name())
				if err != nil {
					t.Fatal(err)
				}
				return string(text)
			}
			address := ""
			until(t, "it listens", func() bool {
				_, rest, found := strings.Cut(log(), "listening on ")
				address = rest[:max(0, strings.IndexAny(rest, "\" "))]
				return found && address != ""
			})
			cert, key := a.pair("client.example")
			good, err := tls.LoadX509KeyPair(cert, key)
			if err != nil {
				t.Fatal(err)
			}
			for _, own := range []tls.Certificate{stranger, good} {
				conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true,
					GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &own, nil }})
				if err != nil {
					continue
				}
				io.WriteString(conn, "GET /\x7f\u009b\u202e HTTP/1.1\r\nHost: x\r\nConnection: close\r\nUser-Agent: \u009b\u202e\U000e0001\r\n\r\n")
				conn.CloseWrite()
				io.Copy(io.Discard, conn)
				conn.Close()
			}
			until(t, "both are told", func() bool { return strings.Contains(log(), "refused") && strings.Contains(log(), "disconnected") })
			cmd.Process.Kill()
			cmd.Wait()
			harmless(t, form+" "+what[0], log())
		}
	}
}
