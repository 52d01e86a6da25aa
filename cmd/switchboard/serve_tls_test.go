package main

import (
	"bytes"
	"crypto/tls"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard/internal/systest"
)

func TestServeSpeaksTLSWithProgramsThatNobodyHereWrote(t *testing.T) {
	inEveryVersion(t, func(t *testing.T, version string) {
		a := newAuthority(t)
		cert, key := a.pair("127.0.0.1")
		s := serve(t, "echo", "--tls-cert", cert, "--tls-key", key)
		if s.await("listening on", 1)["tls"] != cert {
			t.Errorf("the log: %v", s.lines())
		}
		host, port, _ := net.SplitHostPort(s.addrs[0])
		said := noise(5, 1_000_000)
		for name, heard := range map[string][]byte{
			"Python": peer(t, said, "python3", "testdata/tls_client.py", host, port, a.file, version),
			"socat":  peer(t, said, "socat", "-t30", "-", "OPENSSL:"+s.addrs[0]+",cafile="+a.file),
		} {
			if !bytes.Equal(heard, said) {
				t.Errorf("%s: %d bytes came back of %d", name, len(heard), len(said))
			}
		}
		openssl := runs(t, "openssl", "s_client", "-connect", s.addrs[0], "-CAfile", a.file, "-verify_return_error",
			"-verify_ip", host, opensslVersion(version))
		openssl.hears("Verify return code: 0 (ok)")
		openssl.says("hello\n")
		openssl.hears("hello")
		openssl.says("Q\n")
		// In order, each of the three: with a close_notify.
		for n := range 3 {
			if e := s.await("disconnected", n+1); e["reason"] != nil {
				t.Errorf("%v", e)
			}
		}
	})
}

func TestServeSpeaksTLSOnEveryListener(t *testing.T) {
	path := filepath.Join(t.TempDir(), "echo.sock")
	args := []string{"echo", "--tls-self-signed", "--listen=127.0.0.1:0", "--listen=[::1]:0"}
	if systest.HasUnix() {
		args = append(args, "--listen=unix:"+path)
	}
	s := serve(t, args...)
	for _, at := range s.addrs[:2] {
		if heard, complaint, code := once(t, "hello", "dial", "--tls-insecure", "tls://"+at); heard != "hello" || code != 0 {
			t.Errorf("%s: %q, exit code %d, %s", at, heard, code, complaint)
		}
	}
	if !systest.HasUnix() {
		return
	}
	openssl := runs(t, "openssl", "s_client", "-unix", path)
	openssl.hears("BEGIN CERTIFICATE")
	openssl.says("hello\n")
	openssl.hears("hello")
}

func TestServeChoosesTheCertificateByName(t *testing.T) {
	a := newAuthority(t)
	cert1, key1 := a.pair("one.example")
	cert2, key2 := a.pair("*.two.example")
	for _, flags := range [][]string{
		{"--tls-cert", cert1 + "," + cert2, "--tls-key", key1 + "," + key2},
		{"--tls-cert", cert1, "--tls-key", key1, "--tls-cert", cert2, "--tls-key", key2},
	} {
		s := serve(t, append([]string{"echo"}, flags...)...)
		for name, want := range map[string]string{
			"one.example": "one.example", "any.two.example": "*.two.example", "other.example": "one.example",
		} {
			openssl := runs(t, "openssl", "s_client", "-connect", s.addrs[0], "-servername", name)
			if got := openssl.hears("subject="); !strings.HasSuffix(got, want) {
				t.Errorf("%s: %s", name, got)
			}
		}
	}
}

func TestServeFollowsItsCertificateFiles(t *testing.T) {
	a := newAuthority(t)
	cert, key := a.pair("old.example")
	s := serve(t, "echo", "--tls-cert", cert, "--tls-key", key)
	reach := func() *tls.Conn {
		conn := tls.Client(client(t, s), &tls.Config{InsecureSkipVerify: true})
		if err := conn.Handshake(); err != nil {
			t.Fatal(err)
		}
		return conn
	}
	name := func() string {
		conn := reach()
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].DNSNames[0]
	}
	before := reach()
	a.writes(cert, key, "new.example", time.Time{})
	until(t, "the new certificate serves", func() bool { return name() == "new.example" })
	s.await("a changed certificate serves from now on", 1)
	if err := os.WriteFile(cert, []byte("half a"), 0o600); err != nil {
		t.Fatal(err)
	}
	until(t, "the broken one is noticed", func() bool {
		if got := name(); got != "new.example" {
			t.Fatalf("%s serves", got)
		}
		return len(s.entries("a changed certificate cannot be used")) > 0
	})
	if e := s.await("a changed certificate cannot be used", 1); !strings.Contains(e["error"].(string), cert) {
		t.Errorf("%v", e)
	}
	echoes(t, before, []byte("as if nothing had happened"))
}

func TestServeSelfSignedTellsItsFingerprint(t *testing.T) {
	s := serve(t, "echo", "--tls-self-signed", "--listen", "127.0.0.2:0")
	told := s.await("listening on ", 1)
	openssl := runs(t, "openssl", "s_client", "-connect", s.addrs[0], "-verify_quiet")
	var text strings.Builder
	openssl.hears("-----BEGIN")
	text.WriteString("-----BEGIN CERTIFICATE-----\n")
	for line := ""; line != "-----END CERTIFICATE-----"; {
		line = openssl.hears("")
		text.WriteString(line + "\n")
	}
	print := string(peer(t, []byte(text.String()), "openssl", "x509", "-noout", "-fingerprint", "-sha256",
		"-ext", "subjectAltName"))
	if told["tls"] != "self-signed" || !strings.Contains(print, "="+told["sha256"].(string)+"\n") {
		t.Errorf("%v, and openssl says %s", told, print)
	}
	for _, host := range []string{"DNS:localhost", "IP Address:127.0.0.1", "IP Address:127.0.0.2"} {
		if !strings.Contains(print, host) {
			t.Errorf("it is not for %s: %s", host, print)
		}
	}
}

func TestServeWantsACertificateOfItsClients(t *testing.T) {
	inEveryVersion(t, func(t *testing.T, version string) {
		a, other := newAuthority(t), newAuthority(t)
		cert, key := a.pair("127.0.0.1")
		s := serve(t, "echo", "--tls-cert", cert, "--tls-key", key, "--tls-client-ca", a.file)
		host, port, _ := net.SplitHostPort(s.addrs[0])
		ours, oursKey := a.pair("client.example")
		heard := peer(t, []byte("hello"), "python3", "testdata/tls_client.py", host, port, a.file, version, ours, oursKey)
		if string(heard) != "hello" {
			t.Errorf("heard %q", heard)
		}
		theirs, theirsKey := other.pair("client.example")
		stale, staleKey := a.pair("client.example")
		a.writes(stale, staleKey, "client.example", time.Now().Add(-time.Hour))
		for why, own := range map[string][]string{
			"didn't provide a certificate": nil,
			"unknown authority":            {"-cert", theirs, "-key", theirsKey},
			"has expired":                  {"-cert", stale, "-key", staleKey},
		} {
			n := len(s.entries("refused"))
			args := []string{"s_client", "-connect", s.addrs[0], opensslVersion(version)}
			runs(t, "openssl", append(args, own...)...).hears("alert")
			if e := s.await("refused", n+1); !strings.Contains(e["reason"].(string), why) {
				t.Errorf("refused for %v, not for %q", e["reason"], why)
			}
		}
	})
}

func TestPlainHTTPToTheTLSPortIsRefused(t *testing.T) {
	s := serve(t, "echo", "--tls-self-signed")
	curl := exec.Command(installed(t, "curl"), "--silent", "--show-error", "--max-time", "20", "http://"+s.addrs[0])
	if out, err := curl.CombinedOutput(); err == nil {
		t.Errorf("curl says %s", out)
	}
	if e := s.await("refused", 1); !strings.Contains(e["reason"].(string), "does not look like a TLS handshake") {
		t.Errorf("%v", e)
	}
}

func TestServeOverTLSShutsDownInOrder(t *testing.T) {
	s := serve(t, "echo", "--tls-self-signed", "--tls-timeout", "1m")
	client(t, s) // has not said hello
	conn := tls.Client(client(t, s), &tls.Config{InsecureSkipVerify: true})
	echoes(t, conn, []byte("hello"))
	systest.Interrupt(s.cmd.Process)
	if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil || err.Error() != "EOF" { // a close_notify
		t.Errorf("%d bytes, %v", n, err)
	}
	conn.Close()
	if code := s.wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestATLSHandshakeHasATimeout(t *testing.T) {
	s := serve(t, "echo", "--tls-self-signed", "--tls-timeout", "50ms")
	client(t, s).Read(make([]byte, 1))
	if e := s.await("refused", 1); !strings.Contains(e["reason"].(string), "handshake") {
		t.Errorf("%v", e)
	}
}

func TestWrongTLSFlagsAreExplained(t *testing.T) {
	a := newAuthority(t)
	cert, key := a.pair("one.example")
	_, other := a.pair("two.example")
	dir := t.TempDir()
	none := filepath.Join(dir, "none")
	for _, call := range []struct {
		code       int
		args, want string
	}{
		{exitUsage, "serve echo --tls-cert CERT", "1 of --tls-cert and 0 of --tls-key"},
		{exitUsage, "serve echo --tls-key KEY", "0 of --tls-cert and 1 of --tls-key"},
		{exitUsage, "serve echo --tls-cert CERT --tls-key KEY --tls-self-signed", "exclude each other"},
		{exitUsage, "serve echo --tls-client-ca CERT", "needs --tls-cert and --tls-key"},
		{exitUsage, "serve echo --tls-self-signed --tls-handshakes 0", "at least 1"},
		{exitUsage, "serve echo --tls-self-signed --tls-timeout -1s", "cannot be negative"},
		{exitUsage, "serve echo --tls-self-signed --mode goroutines", "is for the mode loop, and goroutines has no such thing"},
		{exitUsage, "serve echo --tls-cert CERT --tls-key KEY --mode blocking", "is for the mode loop"},
		{exitUsage, "serve echo --listen tls://:7443", "--tls-cert and --tls-self-signed have every --listen speak TLS"},
		{exitFailed, "serve echo --tls-cert NONE --tls-key KEY", "NONE: " + noFile},
		{exitFailed, "serve echo --tls-cert NONE --tls-key NONE", "NONE: " + noFile},
		{exitFailed, "serve echo --tls-cert CERT --tls-key OTHER", "private key does not match public key"},
		{exitFailed, "serve echo --tls-cert KEY --tls-key CERT", "CERT"},
		{exitFailed, "serve echo --tls-self-signed --tls-client-ca NONE", "NONE: " + noFile},
		{exitFailed, "serve echo --tls-self-signed --tls-client-ca KEY", "KEY has no certificate in it"},
		{exitUsage, "serve proxy --to tls:///run/s.sock", `--to: address "tls:///run/s.sock": tls:// takes HOST:PORT`},
		{exitUsage, "serve proxy --to tls://:7", "try tls://127.0.0.1:7"},
		{exitUsage, "serve proxy --to 127.0.0.1:7 --to-tls-ca CERT", "--to-tls-ca is for tls://HOST:PORT"},
		{exitFailed, "serve proxy --to tls://127.0.0.1:7 --to-tls-ca KEY", "KEY has no certificate in it"},
		{exitUsage, "dial tls://", "it is empty"},
		{exitUsage, "dial tls://127.0.0.1", "the port is missing (try tls://127.0.0.1:7007)"},
		{exitUsage, "dial tls://unix:/s.sock", "tls:// takes HOST:PORT"},
		{exitUsage, "dial --udp tls://127.0.0.1:7", "--udp takes HOST:PORT"},
		{exitUsage, "dial --tls-insecure 127.0.0.1:7", "--tls-insecure is for tls://HOST:PORT"},
		{exitUsage, "dial --tls-cert CERT tls://127.0.0.1:7", "--tls-cert and --tls-key belong together"},
		{exitUsage, "dial --tls-insecure --tls-ca CERT tls://127.0.0.1:7", "exclude each other"},
		{exitFailed, "dial --tls-ca NONE tls://127.0.0.1:7", "NONE: " + noFile},
		{exitFailed, "dial --tls-cert CERT --tls-key OTHER tls://127.0.0.1:7", "CERT with OTHER: tls: private key does not match"},
		{exitUsage, "bench --tls-server-name x 127.0.0.1:7", "--tls-server-name is for tls://HOST:PORT"},
		{exitUsage, "bench tls://@name", "tls:// takes HOST:PORT"},
		{exitFailed, "bench --tls-ca NONE tls://127.0.0.1:7", "NONE: " + noFile},
	} {
		files := strings.NewReplacer("CERT", cert, "OTHER", other, "KEY", key, "NONE", none)
		args := strings.Fields(call.args)
		for i := range args {
			args[i] = files.Replace(args[i])
		}
		out, complaint, code := once(t, "", args...)
		want := files.Replace(call.want)
		if code != call.code || out != "" || strings.Count(complaint, "\n") != 1 || !strings.Contains(complaint, want) {
			t.Errorf("%s: exit code %d, %q%q, want %q in one line", call.args, code, out, complaint, want)
		}
	}
}

func TestTheShellCompletesTLSFlagsWithFiles(t *testing.T) {
	for _, flag := range []string{"serve echo --tls-cert", "serve echo --tls-key", "serve lines --tls-client-ca",
		"serve proxy --to-tls-ca", "dial --tls-ca", "dial --tls-cert", "bench --tls-key"} {
		args := append(strings.Fields("__complete "+flag), "")
		if out, _, _ := once(t, "", args...); out != ":0\n" { // files
			t.Errorf("%s: %s", flag, out)
		}
	}
}
