package tlsconn

import (
	"bytes"
	"testing"
)

// Whatever pieces the network cuts the records into and crypto/tls asks for, a Read gives bytes of one record only, and
// all of them come through.
func FuzzReadGoesRecordByRecord(f *testing.F) {
	f.Add([]byte{3, 0, 200}, []byte{1, 5, 7, 200})
	f.Add([]byte{0, 0, 0}, []byte{1})
	f.Add([]byte{255, 255}, []byte{255, 3})
	f.Fuzz(func(t *testing.T, lengths, cuts []byte) {
		var stream []byte
		bounds := map[int]bool{0: true}
		for i, n := range lengths {
			stream = append(stream, byte(20+i%4), 3, 3, n/16, n)
			stream = append(stream, bytes.Repeat([]byte{byte(i)}, int(n/16)<<8+int(n))...)
			bounds[len(stream)] = true
		}
		if len(cuts) == 0 {
			return
		}
		c := new(Conn)
		var got []byte
		cut := func(i int) int { return 1 + int(cuts[i%len(cuts)]) }
		for i, rest := 0, stream; len(rest) > 0; i++ {
			n := min(len(rest), cut(i))
			for c.in = rest[:n]; len(c.in) > 0; i++ {
				p := make([]byte, cut(i))
				m, err := (*transport)(c).Read(p)
				if err != nil || m == 0 {
					t.Fatal(m, err)
				}
				for j := 1; j < m; j++ {
					if bounds[len(got)+j] {
						t.Fatalf("one Read gave the bytes from %d to %d: two records", len(got), len(got)+m)
					}
				}
				got = append(got, p[:m]...)
				if c.MidRecord() == bounds[len(got)] {
					t.Fatalf("at %d it says MidRecord: %v", len(got), c.MidRecord())
				}
			}
			if _, err := (*transport)(c).Read(make([]byte, 1)); err != errDry {
				t.Fatalf("with nothing to read: %v", err)
			}
			rest = rest[n:]
		}
		if !bytes.Equal(got, stream) {
			t.Fatal("it is not what was sent")
		}
	})
}

// A ClientHello says the same in several records, however it comes and crypto/tls reads it.
func FuzzShortRecordsSayTheSame(f *testing.F) {
	f.Add([]byte("\x16\x03\x01\x00\x04hell"), []byte{1})
	f.Add(append([]byte("\x16\x03\x01\x06\x00"), make([]byte, 1540)...), []byte{255, 3})
	f.Add(append([]byte("\x16\x03\x01\x3f\xff"), make([]byte, 16400)...), []byte{255})
	f.Add([]byte("GET / HTTP/1.1\r\n"), []byte{7})
	f.Fuzz(func(t *testing.T, p, cuts []byte) {
		if len(cuts) == 0 || len(p) < header || len(p) < header+payload(p) {
			return
		}
		k := cut(p)
		if k.left == 0 {
			if p[0] == handshakeRecord && payload(p) > 500 && !oversized(p) {
				t.Fatal("a long record was not cut")
			}
			return
		}
		said := p[header : header+payload(p)]
		at := 0
		size := func() int { at++; return 1 + int(cuts[at%len(cuts)]) }
		var records []byte
		for rest := said; k.left > 0; {
			in := rest[:min(len(rest), size())]
			rest = rest[len(in):]
			for len(in) > 0 {
				part := make([]byte, size())
				var n int
				if n, in = k.read(part, in); n == 0 {
					t.Fatal("nothing was read")
				}
				records = append(records, part[:n]...)
			}
		}
		var message []byte
		for len(records) > 0 {
			n := header + payload(records)
			if !bytes.Equal(records[:3], p[:3]) || n == header || n > header+500 || n > len(records) {
				t.Fatalf("a record begins % x", records[:header])
			}
			message = append(message, records[header:n]...)
			records = records[n:]
		}
		if !bytes.Equal(message, said) {
			t.Fatal("it says something else")
		}
	})
}
