package handover

import (
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"
)

// conns are connections as version 1 writes them.
func conns() []Conn {
	return []Conn{
		{ID: 0, Flags: Handled | Full, Age: 1500, Idle: 20, Received: 1 << 40, Sent: 7,
			State: State{"websocket", 3, []byte("state")}, Input: []byte("in"), Output: []byte("out")},
		{ID: 1, Flags: Joined | KeepsReading, Network: "unix", Peer: "/run/a.sock", State: State{Data: []byte{}}, Input: []byte{}, Output: []byte{}},
		{ID: 300, Flags: Dialled | KeepsReading | InputEnded | EndTold | OutputEnded | EndSent | Paused, Network: "tcp", Peer: "127.0.0.1:7",
			State: State{Data: []byte{}}, Input: []byte{}, Output: []byte("last")},
	}
}

// version1 is what version 1 of the format has said of these since it was made. It must never change: it is what the program
// before this one sends.
const version1 = "00c004dc0b148080808080200700000977656273" +
	"6f636b65740305737461746502696e036f7574" +
	"01800300000000" + "04756e69780b2f72756e2f612e736f636b" + "0000000000" +
	"ac02bf0100000000" + "037463700b3132372e302e302e313a37" + "00000000046c617374"

func TestTheBytesOfVersion1DoNotChange(t *testing.T) {
	var p []byte
	for _, c := range conns() {
		p = AppendConn(p, &c)
	}
	if got := hex.EncodeToString(p); got != version1 {
		t.Errorf("version 1 has become\n%s, it was\n%s", got, version1)
	}
	old, err := hex.DecodeString(version1)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := ReadConns(old); err != nil || !reflect.DeepEqual(got, conns()) {
		t.Errorf("%+v, %v", got, err)
	}
	if got := hex.EncodeToString(AppendHello(nil, 1, 2)); got != hex.EncodeToString([]byte(magic))+"0102" {
		t.Error(got)
	}
	if got := string(AppendListener(nil, Listener{"tcp", "[::1]:7", true})); got != "\x03tcp\x07[::1]:7\x01" {
		t.Errorf("%q", got)
	}
	if got := string(AppendMine(nil, "why", []uint64{0, 200})); got != "\x03why\x00\xc8\x01" {
		t.Errorf("%q", got)
	}
	if got := string(AppendPiece(nil, Piece{5, []byte("late")})); got != "\x05\x04late" {
		t.Errorf("%q", got)
	}
	shared := State{Kind: "rooms", Version: 300, Data: []byte("state")}
	p = append(AppendShared(nil, shared), shared.Data...)
	if string(p) != "\x05rooms\xac\x02state" {
		t.Errorf("version 2 has become %q", p)
	}
	if got, err := ReadShared(p); err != nil || !reflect.DeepEqual(got, shared) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestTheBytesOfVersion2DoNotChange(t *testing.T) {
	if got := string(AppendIDs(nil, []uint64{0, 200})); got != "\x00\xc8\x01" || Withdrawn != 10 || Ahead != 11 {
		t.Errorf("%q, %d, %d", got, Withdrawn, Ahead)
	}
	if ids, err := ReadIDs([]byte("\x00\xc8\x01")); err != nil || !reflect.DeepEqual(ids, []uint64{0, 200}) {
		t.Error(ids, err)
	}
	if ids, err := ReadIDs([]byte("\x00\xc8")); !errors.Is(err, ErrFormat) {
		t.Error(ids, err)
	}
}

func TestWhatIsBrokenIsAnError(t *testing.T) {
	joined := Conn{Flags: Joined}
	lone := AppendConn(nil, &joined)
	for name, p := range map[string][]byte{
		"half":      AppendConn(nil, &conns()[0])[:20],
		"flags":     AppendConn(nil, &Conn{Flags: allFlags + 1}),
		"old":       AppendConn(nil, &Conn{Age: 1 << 63}),
		"lone":      lone,
		"three":     append(append([]byte{}, lone...), lone...),
		"a promise": []byte("\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\x0f"),
		"too many":  []byte(strings.Repeat(string(AppendConn(nil, &Conn{})), MaxConns+1)),
	} {
		if all, err := ReadConns(p); !errors.Is(err, ErrFormat) || all != nil {
			t.Errorf("%s: %d, %v", name, len(all), err)
		}
	}
	for _, p := range []string{"", "GET / HTTP/1.1\r\n\r\n, this is something else", magic, magic + "\x05", magic + "\x05\x04"} {
		if _, _, err := ReadHello([]byte(p)); !errors.Is(err, ErrFormat) {
			t.Errorf("%q: %v", p, err)
		}
	}
	if old, newest, err := ReadHello([]byte(magic + "\x02\x09and more")); old != 2 || newest != 9 || err != nil {
		t.Error(old, newest, err)
	}
}

func FuzzRead(f *testing.F) {
	old, _ := hex.DecodeString(version1)
	for _, p := range [][]byte{old, AppendHello(nil, 1, 1), AppendListener(nil, Listener{"unix", "@a", false}),
		AppendMine(nil, "full", []uint64{1, 2, 1 << 63}), AppendPiece(nil, Piece{1, []byte("x")}), nil, {0xff}} {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		ReadHello(p)
		if all, err := ReadConns(p); err == nil {
			var again []byte
			for i := range all {
				again = AppendConn(again, &all[i])
			}
			if back, err := ReadConns(again); err != nil || !reflect.DeepEqual(back, all) {
				t.Errorf("%+v became %+v, %v", all, back, err)
			}
		}
		if all, err := ReadListeners(p); err == nil {
			var again []byte
			for _, l := range all {
				again = AppendListener(again, l)
			}
			if back, err := ReadListeners(again); err != nil || !reflect.DeepEqual(back, all) {
				t.Errorf("%+v became %+v, %v", all, back, err)
			}
		}
		ReadMine(p)
		ReadIDs(p)
		ReadPieces(p)
		ReadShared(p)
		if len(p) >= headerSize {
			if _, descriptors, length, err := readHeader(p); err == nil && (descriptors > MaxListeners || length > MaxFrame || length < 0) {
				t.Error(descriptors, length)
			}
		}
	})
}
