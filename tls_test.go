package switchboard

import (
	"bytes"
	"testing"

	"github.com/switchboard-go/switchboard/internal/buffer"
	"github.com/switchboard-go/switchboard/internal/tlsconn"
)

func TestQueueGivesItsFirstBytesInOnePiece(t *testing.T) {
	var q buffer.Queue
	var all []byte
	for i := range 200 {
		p := bytes.Repeat([]byte{byte(i)}, 1+i*37%4000)
		q.Add(p)
		all = append(all, p...)
	}
	scratch := make([]byte, 0, tlsconn.MaxPlaintext)
	for len(all) > 0 {
		p := front(&q, scratch, sealBatch)
		if len(p) < min(len(all), tlsconn.MaxPlaintext) || len(p) > sealBatch || !bytes.Equal(p, all[:len(p)]) {
			t.Fatalf("%d bytes with %d left", len(p), len(all))
		}
		q.Drop(len(p) - len(p)/3)
		all = all[len(p)-len(p)/3:]
	}
	if q.First() != nil || q.Len() != 0 {
		t.Error("something is left")
	}
}
