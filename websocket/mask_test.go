package websocket

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// Every length, and every cut of it, is masked as the RFC says it: byte by byte.
func TestMaskingIsThatOfTheRFC(t *testing.T) {
	key := [4]byte{0x37, 0xfa, 0x21, 0x3d}
	k := binary.LittleEndian.Uint32(key[:])
	for _, n := range []int{0, 1, 2, 3, 4, 5, 7, 8, 9, 31, 32, 33, 63, 64, 65, 100, 255, 256, 257, 1000, 1023, 1024, 1025, 1283, 5000} {
		p := said(n + 8)[:n]
		want := bytes.Clone(p)
		for i := range want {
			want[i] ^= key[i%4]
		}
		for cut := range min(n+1, 70) {
			got := bytes.Clone(p)
			mask(got[cut:], mask(got[:cut], k))
			if !bytes.Equal(got, want) {
				t.Fatalf("%d bytes, cut at %d", n, cut)
			}
		}
	}
	// The example of section 5.7.
	if got, want := frameWithKey("Hello", k), []byte{0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58}; !bytes.Equal(got, want) {
		t.Errorf("% x", got)
	}
	// Keys are not the same twice.
	seen := map[uint32]bool{}
	for range 1000 {
		seen[newKey()] = true
	}
	if len(seen) < 990 {
		t.Errorf("%d keys of 1000", len(seen))
	}
}

func frameWithKey(text string, key uint32) []byte {
	b := appendHeader(nil, header{op: opText, fin: true, masked: true, key: key, length: uint64(len(text))})
	n := len(b)
	b = append(b, text...)
	mask(b[n:], key)
	return b
}
