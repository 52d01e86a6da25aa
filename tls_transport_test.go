package switchboard

import (
	"bytes"
	"testing"

	"github.com/switchboard-go/switchboard/internal/buffer"
)

// Whatever pieces the network cuts the records into and crypto/tls asks for, a Read gives bytes of one record only, and all
// of them come through.
func FuzzTransportReadsRecordByRecord(f *testing.F) {
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
		tr := &transport{}
		var got []byte
		cut := func(i int) int { return 1 + int(cuts[i%len(cuts)]) }
		for i, rest := 0, stream; len(rest) > 0; i++ {
			n := min(len(rest), cut(i))
			for tr.in = rest[:n]; len(tr.in) > 0; i++ {
				p := make([]byte, cut(i))
				m, err := tr.Read(p)
				if err != nil || m == 0 {
					t.Fatal(m, err)
				}
				for j := 1; j < m; j++ {
					if bounds[len(got)+j] {
						t.Fatalf("one Read gave the bytes from %d to %d: two records", len(got), len(got)+m)
					}
				}
				got = append(got, p[:m]...)
				if tr.midRecord() == bounds[len(got)] {
					t.Fatalf("at %d it says midRecord: %v", len(got), tr.midRecord())
				}
			}
			if _, err := tr.Read(make([]byte, 1)); err != errDry {
				t.Fatalf("with nothing to read: %v", err)
			}
			rest = rest[n:]
		}
		if !bytes.Equal(got, stream) {
			t.Fatal("it is not what was sent")
		}
	})
}

// A ClientHello says the same in several records.
func FuzzReframedHelloSaysTheSame(f *testing.F) {
	f.Add([]byte("\x16\x03\x01\x00\x04hell"))
	f.Add(append([]byte("\x16\x03\x01\x06\x00"), make([]byte, 1540)...))
	f.Add(append([]byte("\x16\x03\x01\x3f\xff"), make([]byte, 16400)...))
	f.Add([]byte("GET / HTTP/1.1\r\n"))
	f.Fuzz(func(t *testing.T, p []byte) {
		if !greeted(p) || recordSize(p) == recordHeader {
			return
		}
		said := bytes.Clone(p)
		b := reframed(buffer.Append(nil, p))
		defer buffer.Put(b)
		if p[0] != isHandshake || int(recordSize(p)) > len(p) {
			if !bytes.Equal(b.B, said) {
				t.Fatal("what is no hello was changed")
			}
			return
		}
		size := int(recordSize(said))
		var message []byte
		rest := b.B
		for len(message) < size-recordHeader {
			n := int(recordSize(rest))
			if !bytes.Equal(rest[:3], said[:3]) || n == recordHeader || n > recordHeader+500 || n > len(rest) {
				t.Fatalf("a record begins % x", rest[:recordHeader])
			}
			message = append(message, rest[recordHeader:n]...)
			rest = rest[n:]
		}
		if !bytes.Equal(message, said[recordHeader:size]) || !bytes.Equal(rest, said[size:]) {
			t.Fatal("it says something else")
		}
	})
}

func TestQueueGivesItsFirstBytesInOnePiece(t *testing.T) {
	var q buffer.Queue
	var all []byte
	for i := range 200 {
		p := bytes.Repeat([]byte{byte(i)}, 1+i*37%4000)
		q.Add(p)
		all = append(all, p...)
	}
	scratch := make([]byte, 0, maxPlaintext)
	for len(all) > 0 {
		p := front(&q, scratch, sealBatch)
		if len(p) < min(len(all), maxPlaintext) || len(p) > sealBatch || !bytes.Equal(p, all[:len(p)]) {
			t.Fatalf("%d bytes with %d left", len(p), len(all))
		}
		q.Drop(len(p) - len(p)/3)
		all = all[len(p)-len(p)/3:]
	}
	if q.First() != nil || q.Len() != 0 {
		t.Error("something is left")
	}
}
