package natsroom

import (
	"bytes"
	"slices"
	"testing"
)

func FuzzPacket(f *testing.F) {
	f.Add(encode(nil, packet{number: 300, kind: 2, from: "ann", key: "k", data: []byte("text")}))
	f.Add(encode(nil, packet{number: 1, kind: onlyNumber}))
	f.Add([]byte{version})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := decode(b)
		if err != nil {
			return
		}
		again, err := decode(encode(nil, p))
		if err != nil || again.id != p.id || again.number != p.number || again.kind != p.kind || again.from != p.from || again.key != p.key || !bytes.Equal(again.data, p.data) {
			t.Errorf("%+v became %+v, %v", p, again, err)
		}
	})
}

func FuzzAttendance(f *testing.F) {
	f.Add(encodeAttendance([]string{"ann", "bob"}, 2))
	f.Add(encodeAttendance(nil, 0))
	f.Add(encodeAttendance([]string{""}, 1000))
	f.Fuzz(func(t *testing.T, b []byte) {
		names, n, err := attendants(b)
		if err != nil {
			return
		}
		if len(names) > n {
			t.Fatalf("%d names of %d", len(names), n)
		}
		if len(b) > mostNamed {
			return
		}
		again, m, err := attendants(encodeAttendance(names, n))
		if err != nil || m != n || !slices.Equal(again, names) {
			t.Errorf("%q of %d became %q of %d, %v", names, n, again, m, err)
		}
	})
}

func TestTokens(t *testing.T) {
	seen := map[string]string{}
	for _, name := range []string{"lobby", "a.b", "a b", "*", ">", "", "%", "%2a", "Größe", "a\x00b"} {
		got := token(name)
		if other, ok := seen[got]; ok {
			t.Errorf("%q and %q are both %q", name, other, got)
		}
		seen[got] = name
		if got == "" || bytes.ContainsAny([]byte(got), ".*> \x00\t\r\n") {
			t.Errorf("%q is %q", name, got)
		}
	}
}
