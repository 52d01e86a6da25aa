package tlsconn_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/switchboard-go/switchboard/internal/tlsconn"
)

// clientHello is a client's first record.
func clientHello(t testing.TB, config *tls.Config) []byte {
	here, _ := wires(t)
	c := tlsconn.Client(config, here)
	done := make(chan bool, 1)
	c.Step(nil, func() { done <- true })
	next(t, done)
	hello := c.Output()
	c.Cancel()
	return hello
}

func TestGreetedWaitsForTheFirstRecordOnly(t *testing.T) {
	hello := clientHello(t, clientConfig(0))
	for i := range hello {
		if tlsconn.Greeted(hello[:i]) {
			t.Errorf("with %d of %d bytes", i, len(hello))
		}
	}
	if !tlsconn.Greeted(hello) || !tlsconn.Greeted(append(hello, "more"...)) {
		t.Error("it is there")
	}
	for said, want := range map[string]bool{
		"GET ": false, "GET /": true, // never a handshake
		"\x80\x2e\x01\x00\x02":                              true, // SSL 2
		"\x16\x11\x01\x00\x05":                              true, // no version of TLS
		"\x16\x03\x01\x40\x00":                              false,
		"\x16\x03\x01\x40\x00" + strings.Repeat("x", 16383): false,
		"\x16\x03\x01\x40\x00" + strings.Repeat("x", 16384): true,
		"\x16\x03\x01\x40\x01":                              true, // more than a record may carry
		"\x16\x03\x01\xff\xff":                              true,
		"\x15\x03\x01\x00\x02\x01":                          false,
		"\x15\x03\x01\x00\x02\x01\x00":                      true,
	} {
		if got := tlsconn.Greeted([]byte(said)); got != want {
			t.Errorf("%.10q, %d bytes: %v", said, len(said), got)
		}
	}
}

// What never becomes a handshake ends at its first step, with the alert that crypto/tls itself sends, and its error.
func TestWrongProtocolIsRefusedAsCryptoTLSDoes(t *testing.T) {
	leavesNothing(t)
	for _, said := range []string{"GET / HTTP/1.1\r\nHost: here\r\n\r\n", "hello", "\x80\x2e\x01\x00\x02 an old hello",
		"\x16\x03\x01\x00\x05hello", "\x16\x03\x01\xff\xff", "\x16\x03\x01\x48\x01", "\x16\x03\x01\x00\x00",
		"\x15\x03\x01\x00\x02\x02\x28", "\x16\x03\x01\x40\x01" + strings.Repeat("\x01\xff", 8193)} {
		here, _ := wires(t)
		c := tlsconn.Server(serverConfig(0), here)
		done := make(chan bool, 1)
		c.Step([]byte(said), func() { done <- true })
		next(t, done)
		over, err := c.Handshaken()
		if !over || err == nil {
			t.Errorf("%.10q: it goes on", said)
			c.Cancel()
			continue
		}
		its := &scripted{input: []byte(said)}
		itsErr := tls.Server(its, serverConfig(0)).Handshake()
		if got := c.Output(); !bytes.Equal(got, its.output) {
			t.Errorf("%.10q is answered % x, and by crypto/tls % x", said, got, its.output)
		}
		if len(said) < 16389 && err.Error() != itsErr.Error() {
			t.Errorf("%.10q: %v; crypto/tls says %v", said, err, itsErr)
		}
		if header := new(tls.RecordHeaderError); errors.As(itsErr, header) {
			ours := new(tls.RecordHeaderError)
			if !errors.As(err, ours) || ours.RecordHeader != header.RecordHeader {
				t.Errorf("%.10q: %#v", said, err)
			}
		}
	}
	// The error's connection can be answered, as net/http does.
	here, _ := wires(t)
	c := tlsconn.Server(serverConfig(0), here)
	done := make(chan bool, 1)
	c.Step([]byte("GET / HTTP/1.1\r\n"), func() { done <- true })
	next(t, done)
	_, err := c.Handshaken()
	header := new(tls.RecordHeaderError)
	if !errors.As(err, header) || header.Conn == nil {
		t.Fatal(err)
	}
	io.WriteString(header.Conn, "HTTP/1.0 400 Bad Request\r\n\r\n")
	header.Conn.Close()
	if got := c.Output(); string(got) != "HTTP/1.0 400 Bad Request\r\n\r\n" {
		t.Errorf("%q", got)
	}
}

// A scripted connection gives its input and then the end, and keeps what is written.
type scripted struct {
	net.Conn
	input, output []byte
}

func (c *scripted) Read(p []byte) (int, error) {
	if len(c.input) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.input)
	c.input = c.input[n:]
	return n, nil
}

func (c *scripted) Write(p []byte) (int, error) {
	c.output = append(c.output, p...)
	return len(p), nil
}

func TestClientHelloSaysWhoIsAskedFor(t *testing.T) {
	leavesNothing(t)
	config := clientConfig(0)
	config.ServerName, config.NextProtos = "name.example", []string{"h2", "http/1.1"}
	whole := clientHello(t, config)
	n := len(whole) - 5
	parts := append([]byte{22, 3, 1, 0, 10}, whole[5:15]...) // one message in two records
	parts = append(parts, 22, 3, 1, byte((n-10)>>8), byte(n-10))
	parts = append(parts, whole[15:]...)
	for name, hello := range map[string][]byte{"one record": whole, "two records": parts} {
		for i := range hello {
			if info, err := tlsconn.ClientHello(hello[:i]); info != nil || err != io.ErrUnexpectedEOF {
				t.Fatalf("%s, with %d of %d bytes: %v", name, i, len(hello), err)
			}
		}
		info, err := tlsconn.ClientHello(append(hello[:len(hello):len(hello)], "more"...))
		if err != nil || info.ServerName != "name.example" || len(info.SupportedProtos) != 2 || info.Conn != nil {
			t.Errorf("%s: %+v, %v", name, info, err)
		}
	}
	config.ServerName, config.InsecureSkipVerify = "", true
	if info, err := tlsconn.ClientHello(clientHello(t, config)); err != nil || info.ServerName != "" {
		t.Errorf("without a name: %v", err)
	}
	for _, said := range []string{"GET / HTTP/1.1", "\x16\x03\x01\xff\xff", "\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", "\x80\x2e\x01\x00\x02"} {
		if info, err := tlsconn.ClientHello([]byte(said)); info != nil || err == nil || err == io.ErrUnexpectedEOF {
			t.Errorf("%q: %v", said, err)
		}
	}
}

func FuzzClientHello(f *testing.F) {
	config := clientConfig(0)
	config.ServerName = "name.example"
	f.Add(clientHello(f, config))
	f.Add([]byte("\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00"))
	f.Fuzz(func(t *testing.T, p []byte) {
		before := bytes.Clone(p)
		info, err := tlsconn.ClientHello(p)
		if (info == nil) == (err == nil) {
			t.Error(info, err)
		}
		if err == io.ErrUnexpectedEOF && len(p) > 1<<20 {
			t.Error("so much, and still no hello")
		}
		if !bytes.Equal(p, before) {
			t.Error("it was changed")
		}
	})
}
