package main

import (
	"crypto/tls"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

func TestDialSpeaksTLSWithServersThatNobodyHereWrote(t *testing.T) {
	inEveryVersion(t, func(t *testing.T, version string) {
		a := newAuthority(t)
		cert, key := a.pair("127.0.0.1")
		said := strings.Repeat("half-closed, and answered all the same\n", 50_000)
		where := "tls://" + pythonTLS(t, cert, key, version, "in order")
		heard, complaint, code := once(t, said, "dial", "--tls-ca", a.file, where)
		if code != 0 || heard != strings.ToUpper(said) || complaint != "" {
			t.Errorf("Python: %d bytes of %d, exit code %d, %s", len(heard), len(said), code, complaint)
		}

		openssl := opensslServer(t, "-cert", cert, "-key", key, "-alpn", "line/1", opensslVersion(version))
		d := runs(t, os.Args[0], "dial", "-v", "--tls-ca", a.file, "--tls-alpn", "h2,line/1", "tls://"+openssl)
		d.hears("connected to " + openssl)
		agreed := d.hears("TLS " + version)
		if !strings.Contains(agreed, "TLS_") || !strings.HasSuffix(agreed, "ALPN line/1") {
			t.Errorf("agreed on %s", agreed)
		}
		for _, want := range []string{"certificate 0: CN=127.0.0.1", "for 127.0.0.1", "issued by CN=authority", "valid from 20"} {
			d.hears(want)
		}
		print := d.hears("SHA-256 ")
		out := peer(t, nil, "openssl", "x509", "-in", cert, "-noout", "-fingerprint", "-sha256")
		if !strings.HasSuffix(strings.TrimSpace(string(out)), "="+strings.TrimPrefix(print, "SHA-256 ")) {
			t.Errorf("%s, and openssl says %s", print, out)
		}
		d.hears("verified for 127.0.0.1")
		d.says("stressed\n")
		d.hears("desserts")
	})
}

func TestDialVerifiesWhoAnswers(t *testing.T) {
	inEveryVersion(t, func(t *testing.T, version string) {
		a := newAuthority(t)
		cert, key := a.pair("127.0.0.1")
		good := pythonTLS(t, cert, key, version, "in order")
		cert, key = a.pair("elsewhere.example")
		elsewhere := pythonTLS(t, cert, key, version, "in order")
		a.writes(cert, key, "127.0.0.1", time.Now().Add(-time.Hour))
		expired := pythonTLS(t, cert, key, version, "in order")
		for _, call := range []struct {
			name, where string
			flags       []string
			want        string // "": it is trusted
		}{
			{"unknown", good, nil, "unknown authority (--tls-ca FILE sets the authorities to trust, --tls-insecure accepts any certificate)"},
			{"known", good, []string{"--tls-ca", a.file}, ""},
			{"unknown, and all the same", good, []string{"--tls-insecure"}, ""},
			{"another's", elsewhere, []string{"--tls-ca", a.file}, "(--tls-server-name NAME sets the name to expect)"},
			{"who is expected", elsewhere, []string{"--tls-ca", a.file, "--tls-server-name", "elsewhere.example"}, ""},
			{"nobody", good, []string{"--tls-ca", a.file, "--tls-server-name", "elsewhere.example"}, "elsewhere.example"},
			{"expired", expired, []string{"--tls-ca", a.file}, "(the server needs a new one; --tls-insecure accepts any)"},
			{"expired, and all the same", expired, []string{"--tls-insecure"}, ""},
		} {
			heard, complaint, code := once(t, "secret", append([]string{"dial", "tls://" + call.where}, call.flags...)...)
			switch {
			case call.want == "" && (code != 0 || heard != "SECRET" || complaint != ""):
				t.Errorf("%s: %q, exit code %d, %s", call.name, heard, code, complaint)
			case call.want != "" && (code != exitFailed || heard != "" || !strings.Contains(complaint, call.want) ||
				!strings.HasPrefix(complaint, "switchboard: handshake "+call.where+": tls: ") || strings.Count(complaint, "\n") != 1):
				t.Errorf("%s: %q, exit code %d, %s", call.name, heard, code, complaint)
			}
		}
		_, complaint, _ := once(t, "", "dial", "-v", "tls://"+good)
		if !strings.Contains(complaint, "certificate 0: CN=127.0.0.1") || strings.Contains(complaint, "verified for") {
			t.Errorf("of whom it does not trust it tells %s", complaint)
		}
		_, complaint, _ = once(t, "", "dial", "-v", "--tls-insecure", "tls://"+good)
		if !strings.Contains(complaint, "not verified: ") {
			t.Errorf("of whom it trusts blindly it tells %s", complaint)
		}
	})
}

func TestDialingTLSToAnEchoIsExplained(t *testing.T) {
	s := serve(t, "echo")
	_, complaint, code := once(t, "hello", "dial", "tls://"+s.addrs[0])
	if code != exitFailed || !strings.Contains(complaint, "(it does not speak TLS, but sends back what it receives)") {
		t.Errorf("exit code %d, %s", code, complaint)
	}
}

func TestDialShowsItsCertificateToWhoAsks(t *testing.T) {
	inEveryVersion(t, func(t *testing.T, version string) {
		a := newAuthority(t)
		cert, key := a.pair("127.0.0.1")
		where := "tls://" + opensslServer(t, "-cert", cert, "-key", key, "-CAfile", a.file, "-Verify", "1",
			"-verify_return_error", opensslVersion(version))
		ours, oursKey := a.pair("client.example")
		heard, complaint, code := once(t, "live\n", "dial", "--tls-ca", a.file, "--tls-cert", ours, "--tls-key", oursKey, where)
		if code != 0 || heard != "evil\n" {
			t.Errorf("%q, exit code %d, %s", heard, code, complaint)
		}
		_, complaint, code = once(t, "live\n", "dial", "--tls-ca", a.file, where)
		if code != exitFailed || !strings.Contains(complaint, "it asked for a client certificate: see --tls-cert and --tls-key") {
			t.Errorf("without one: exit code %d, %s", code, complaint)
		}
	})
}

func TestDialOverTLSTellsHowItEnded(t *testing.T) {
	a := newAuthority(t)
	cert, key := a.pair("127.0.0.1")
	cut := pythonTLS(t, cert, key, "1.3", "cut off")
	rude := listener(t, func(conn *net.TCPConn) { conn.Read(make([]byte, 1<<16)) })
	mail := listener(t, func(conn *net.TCPConn) {
		io.WriteString(conn, "220 mail.example ESMTP\r\n")
		io.Copy(io.Discard, conn)
	})
	silent := listener(t, func(conn *net.TCPConn) { io.Copy(io.Discard, conn) })
	stalled := listener(t, func(conn *net.TCPConn) {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			t.Error(err)
		}
		tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{pair}}).Handshake()
		<-t.Context().Done()
	})
	for _, end := range []struct {
		name, where string
		code        int
		heard, want string
	}{
		{"cut off", cut, exitFailed, "SAID", "without ending TLS, so what came may be incomplete"},
		{"hung up", rude, exitFailed, "", "the server hung up during the handshake, and may not speak TLS"},
		{"not TLS", mail, exitFailed, "", "(it does not speak TLS)"},
		{"no handshake", silent, exitTimeout, "", "no handshake within 300ms"},
		{"no answer", stalled, exitTimeout, "", "nothing sent or received for 300ms"},
		{"nobody", nobody(t), exitFailed, "", "connection refused (nothing listens there)"},
	} {
		args := []string{"dial", "--tls-ca", a.file, "tls://" + end.where}
		if end.code == exitTimeout {
			args = append(args, "--timeout", "300ms")
		}
		heard, complaint, code := once(t, "said", args...)
		if code != end.code || heard != end.heard || !strings.Contains(complaint, end.want) ||
			strings.Count(complaint, "\n") != 1 {
			t.Errorf("%s: %q, exit code %d, %s", end.name, heard, code, complaint)
		}
	}
}

func TestDialOverTLSDumpsWhatIsSaid(t *testing.T) {
	s := serve(t, "echo", "--tls-self-signed")
	out, complaint, code := once(t, "hello", "dial", "--hex", "--tls-insecure", "tls://"+s.addrs[0])
	if code != 0 || strings.Count(out, "68 65 6c 6c 6f") != 2 || !strings.Contains(out, "> ") || !strings.Contains(out, "< ") {
		t.Errorf("%s, exit code %d, %s", out, code, complaint)
	}
}

func TestBenchTrustsAndShowsCertificatesAsDialDoes(t *testing.T) {
	a := newAuthority(t)
	cert, key := a.pair("127.0.0.1")
	ours, oursKey := a.pair("client.example")
	s := serve(t, "echo", "--tls-cert", cert, "--tls-key", key, "--tls-client-ca", a.file, "--quiet")
	load := func(flags ...string) (string, int) {
		args := []string{"bench", "--quiet", "-c", "3", "-d", "100ms", "--warmup", "0s", "tls://" + s.addrs[0]}
		_, complaint, code := once(t, "", append(args, flags...)...)
		return complaint, code
	}
	if complaint, code := load("--tls-ca", a.file, "--tls-cert", ours, "--tls-key", oursKey); code != 0 {
		t.Errorf("exit code %d, %s", code, complaint)
	}
	complaint, code := load("--tls-cert", ours, "--tls-key", oursKey)
	if code != exitFailed || !strings.Contains(complaint, "(--tls-ca FILE sets the authorities to trust") {
		t.Errorf("whom it does not know: exit code %d, %s", code, complaint)
	}
	if complaint, code := load("--tls-ca", a.file); code != exitFailed || !strings.Contains(complaint, "certificate") {
		t.Errorf("without a certificate: exit code %d, %s", code, complaint)
	}
}
