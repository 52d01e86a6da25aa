//go:build unix

package socket

import (
	"bytes"
	"testing"
)

func FuzzControl(f *testing.F) {
	f.Add(encodeControl([]Control{{SOL_SOCKET, SCM_RIGHTS, []byte{1, 0, 0, 0}}, {1, 2, []byte("odd")}}))
	f.Add([]byte{})
	f.Add(bytes.Repeat([]byte{0xff}, 40))
	f.Fuzz(func(t *testing.T, b []byte) {
		b = append(make([]byte, 0, len(b)+16), b...) // aligned as the kernel's
		list := decodeControl(b)
		decodeFDs(b)
		Message{Control: list}.Credentials()
		total := 0
		for _, c := range list {
			total += len(c.Data)
		}
		if total > len(b) {
			t.Fatal("more came out than was in")
		}
		again := decodeControl(encodeControl(list))
		if len(again) != len(list) {
			t.Fatalf("%v, again %v", list, again)
		}
		for i := range list {
			if again[i].Level != list[i].Level || again[i].Type != list[i].Type || !bytes.Equal(again[i].Data, list[i].Data) {
				t.Fatalf("%v, again %v", list[i], again[i])
			}
		}
	})
}
