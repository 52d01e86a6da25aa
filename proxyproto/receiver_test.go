//go:build unix

package proxyproto

import (
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
)

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
