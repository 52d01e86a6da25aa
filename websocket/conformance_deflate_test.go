package websocket

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	windowed "github.com/klauspost/compress/flate"

	"github.com/switchboard-go/switchboard"
)

// A deflater is what a tester compresses and inflates with, as its agreement has it. It inflates with the standard library,
// and with no more history than the other side may refer to.
type deflater struct {
	alone, otherAlone bool // no context takeover
	bits, otherBits   int
	sent, received    []byte
}

// agreedBy reads the extensions of an answer.
func agreedBy(t testing.TB, ext string, client bool) *deflater {
	t.Helper()
	parts := strings.Split(ext, ";")
	if strings.TrimSpace(parts[0]) != "permessage-deflate" {
		t.Fatalf("agreed on %q", ext)
	}
	server, own := deflater{bits: 15}, deflater{bits: 15}
	for _, part := range parts[1:] {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		bits, _ := strconv.Atoi(value)
		switch name {
		case "server_no_context_takeover":
			server.alone = true
		case "client_no_context_takeover":
			own.alone = true
		case "server_max_window_bits":
			server.bits = bits
		case "client_max_window_bits":
			own.bits = bits
		default:
			t.Fatalf("agreed on %q", ext)
		}
	}
	if !client {
		server, own = own, server
	}
	return &deflater{alone: own.alone, otherAlone: server.alone, bits: own.bits, otherBits: server.bits}
}

func (z *deflater) compress(said string) string {
	var b bytes.Buffer
	w, err := windowed.NewWriterWindow(&b, 1<<z.bits)
	if err != nil {
		panic(err)
	}
	w.ResetDict(&b, z.sent)
	io.WriteString(w, said)
	w.Flush()
	if !z.alone {
		z.sent = last(append(z.sent, said...), 1<<z.bits)
	}
	return strings.TrimSuffix(b.String(), "\x00\x00\xff\xff")
}

func (z *deflater) inflate(payload string) (string, error) {
	in := io.MultiReader(strings.NewReader(payload), strings.NewReader("\x00\x00\xff\xff\x01\x00\x00\xff\xff"))
	p, err := io.ReadAll(flate.NewReaderDict(iotest.DataErrReader(in), z.received))
	if err == nil && !z.otherAlone {
		z.received = last(append(z.received, p...), 1<<z.otherBits)
	}
	return string(p), err
}

func last(p []byte, n int) []byte { return bytes.Clone(p[max(0, len(p)-n):]) }

// echoesCompressed sends a message that is compressed, in fragments, and wants it back, compressed or not.
func (x *tester) echoesCompressed(t *testing.T, z *deflater, kind byte, said string, fragment int) {
	t.Helper()
	x.conn.SetDeadline(time.Now().Add(3 * patience))
	frames := fragments(kind, z.compress(said), fragment)
	frames[0].first |= 0x40
	go x.says(0, frames...)
	got, compressed, err := x.hearsMessage()
	if err != nil {
		t.Fatal(err)
	}
	name, got, _ := strings.Cut(got, ":")
	if compressed {
		if got, err = z.inflate(got); err != nil {
			t.Fatalf("what came back cannot be inflated: %v", err)
		}
	}
	if name+":" != kindName(kind) || got != said {
		t.Fatalf("%d bytes came back as %s of %d", len(said), name, len(got))
	}
}

// payloads are what section 12 sends: from what is easily compressed to what cannot be.
func payloads(random *rand.Rand, n int) map[string]string {
	noise := make([]byte, n)
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	return map[string]string{
		"binary:zeros": strings.Repeat("\x00", n), "binary:noise": string(noise), "text:JSON": string(said(n)),
		"text:prose": strings.Repeat("Habe nun, ach! Philosophie, Juristerei und Medizin ", n/50+1)[:n/50*50],
	}
}

// Sections 12 and 13: compression, whatever was offered, and whatever this side wants.
func TestConformanceOfCompression(t *testing.T) {
	offers := []string{
		"permessage-deflate",
		"permessage-deflate; client_max_window_bits",
		"permessage-deflate; server_no_context_takeover; client_max_window_bits",
		"permessage-deflate; server_max_window_bits=9; client_max_window_bits",
		"permessage-deflate; server_max_window_bits=15; client_max_window_bits=10",
		"permessage-deflate; server_no_context_takeover; server_max_window_bits=9; client_max_window_bits",
		"permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=15",
		"permessage-deflate; unknown=1, permessage-deflate; server_max_window_bits=7, permessage-deflate; server_max_window_bits=10, permessage-deflate",
	}
	choices := map[string]*Deflate{"alone": {Threshold: -1}, "takeover": {Threshold: -1, ContextTakeover: true},
		"small": {Threshold: -1, ContextTakeover: true, WindowBits: 9, Level: 6}, "default": {}}
	engines(t, func(t *testing.T, engine string) {
		for name, d := range choices {
			options := Options{Deflate: d}
			for form, h := range map[string]Handler{"messages": echo, "parts": &partsEcho{}} {
				if form == "parts" && raceEnabled && name != "takeover" {
					continue
				}
				address := serve(t, &Upgrader{Handler: h, Options: options}, &switchboard.Server{Engine: engine})
				for i, offer := range offers {
					t.Run(fmt.Sprintf("server %s, %s, 13.%d", name, form, i+1), func(t *testing.T) {
						x := asClient(t, address, offer)
						x.compressedEchoes(t, agreedBy(t, x.ext, true))
					})
				}
			}
			s := &switchboard.Server{Engine: engine, Logger: quiet}
			t.Cleanup(func() { s.Close() })
			for i, answer := range []string{"", "; server_no_context_takeover", "; client_no_context_takeover",
				"; server_no_context_takeover; client_no_context_takeover", "; server_max_window_bits=9", "; client_max_window_bits=9"} {
				t.Run(fmt.Sprintf("client %s, answer %d", name, i), func(t *testing.T) {
					x := clientsTester(t, &Dialer{Server: s, Options: options}, func(offer string) string {
						a, ok := parseExtension([]byte(offer), false)
						if !ok {
							t.Errorf("it offers %q", offer)
						}
						answer := "permessage-deflate" + answer
						if a.serverAlone && !strings.Contains(answer, "server_no") {
							answer += "; server_no_context_takeover"
						}
						if a.serverBits > 0 && a.serverBits < 15 && !strings.Contains(answer, "server_max") {
							answer += fmt.Sprint("; server_max_window_bits=", a.serverBits)
						}
						return answer
					})
					x.compressedEchoes(t, agreedBy(t, x.ext, false))
				})
			}
		}
	})
}

func (x *tester) compressedEchoes(t *testing.T, z *deflater) {
	random := rand.New(rand.NewPCG(1, 2))
	sizes := []int{0, 16, 256, 1024, 8192, 32768, 131072}
	if raceEnabled {
		sizes = []int{0, 256, 40_000} // the detector makes compression ten times as slow
	}
	for _, size := range sizes {
		for name, said := range payloads(random, size) {
			kind := byte(textOp)
			if strings.HasPrefix(name, "binary") {
				kind = binaryOp
			}
			x.echoesCompressed(t, z, kind, said, 1<<20)
			x.echoesCompressed(t, z, kind, said, max(1, size/7))
		}
	}
	x.echoes(t, "not compressed", textOp, "a message may also be sent as it is", 10, 0)
	x.says(0, rawFrame{fin | closing, "\x03\xe8"})
	if got, _, err := x.hearsMessage(); got != "close:1000" || err != nil {
		t.Errorf("heard %q, %v", got, err)
	}
}

// A client does not go on with an agreement that it has not offered.
func TestConformanceOfWrongAgreements(t *testing.T) {
	for _, answer := range []string{"permessage-deflate; server_max_window_bits=7", "permessage-deflate; server_max_window_bits=16",
		"permessage-deflate; client_max_window_bits", "permessage-deflate; unknown", "permessage-deflate; server_no_context_takeover=1",
		"permessage-deflate; server_no_context_takeover; server_no_context_takeover", "permessage-deflate, permessage-deflate",
		"x-webkit-deflate-frame"} {
		w := newWitness(nil)
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		d := &Dialer{Server: loops(t, ""), Options: Options{Deflate: &Deflate{}}}
		if _, err := d.Dial(t.Context(), "ws://"+l.Addr().String()+"/", w); err != nil {
			t.Fatal(err)
		}
		asServer(t, l, func(string) string { return answer })
		err = w.end(t)
		if no := (*HandshakeError)(nil); !errors.As(err, &no) || !strings.Contains(err.Error(), "extensions") && !strings.Contains(err.Error(), "permessage-deflate") {
			t.Errorf("to %q the client says %v", answer, err)
		}
		l.Close()
	}
}
