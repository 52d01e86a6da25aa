package room

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/switchboard-go/switchboard/websocket"
)

func fill(t *testing.T, path string, n int) (Position, *FileStore) {
	t.Helper()
	s, err := OpenFile(path, 10)
	if err != nil {
		t.Fatal(err)
	}
	h := &Hub{Store: s, Options: Options{History: History{Messages: 10}}}
	r, err := h.Room("a")
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if _, err := r.Publish(Message{From: "me", Key: "k", Data: fmt.Appendf(nil, "text %d", i)}); err != nil {
			t.Fatal(err)
		}
	}
	return r.Position(), s
}

func TestAFileKeepsNumbersAndTheLastMessages(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history")
	at, s := fill(t, path, 25)
	s.Close()
	f, _ := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	f.WriteString(`{"room":"a","seq":26,"te`) // killed in the middle
	f.Close()
	again, s := fill(t, path, 0)
	if again != at {
		t.Errorf("it was at %v and is at %v", at, again)
	}
	s.Close()
	s, err := OpenFile(path, 10)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	h := &Hub{Store: s, Options: Options{History: History{Messages: 10}}}
	link := &handLink{loop: new(handLoop), room: 100}
	sub, err := h.Member(link, line, "x").Join("a", &Return{After: Position{at.Epoch, 20}})
	if err != nil || sub.Gap() || sub.Replayed() != 5 {
		t.Fatalf("%v, gap %v, %d replayed", err, sub.Gap(), sub.Replayed())
	}
	if _, err := sub.Publish(Message{Kind: websocket.Binary, Data: []byte{0, 255}}); err != nil {
		t.Fatal(err)
	}
	link.read(10)
	link.loop.run()
	want := "a 21 k text 20\na 22 k text 21\na 23 k text 22\na 24 k text 23\na 25 k text 24\na 26  \x00\xff\n"
	if string(link.got) != want {
		t.Errorf("replayed %q", link.got)
	}
	text, _ := os.ReadFile(path)
	if n := strings.Count(string(text), "\n"); n != 12 {
		t.Errorf("%d lines in the file:\n%s", n, text)
	}
}

func TestAFileDoesNotGrowForEver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history")
	at, s := fill(t, path, 1000)
	defer s.Close()
	text, err := os.ReadFile(path)
	if n := strings.Count(string(text), "\n"); err != nil || n > 80 {
		t.Errorf("%d lines, %v", n, err)
	}
	if at.Seq != 1000 {
		t.Errorf("at %v", at)
	}
}

func TestAnotherFileIsLeftAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "letter")
	os.WriteFile(path, []byte("Dear Sir\nYours\n"), 0o600)
	if _, err := OpenFile(path, 0); err == nil || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("%v", err)
	}
	if text, _ := os.ReadFile(path); string(text) != "Dear Sir\nYours\n" {
		t.Errorf("it is %q", text)
	}
}

// A history that was edited, or of which a part is lost, would be sent with gaps and doubles that nobody is told of.
func TestAFileWithoutSomeOfItsLinesIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history")
	for text, want := range map[string]string{
		`{"room":"a","epoch":"e"}{"room":"a","seq":1}{"room":"a","seq":3}`:                         "line 3: number 3 does not follow",
		`{"room":"a","epoch":"e"}{"room":"a","seq":1}{"room":"a","seq":1}`:                         "line 3: number 1 does not follow",
		`{"room":"a","epoch":"e","seq":9}{"room":"a","seq":18446744073709551615}`:                  "does not follow",
		`{"room":"a","epoch":"e"}{"room":"a","seq":1.5}`:                                           "line 2: this is not a history",
		`{"room":"a","epoch":"e"}{"room":"a","seq":1,"text":"cut o`:                                "",
		`{"room":"a","epoch":"e"}{"room":"b","epoch":"f"}{"room":"a","seq":1}{"room":"b","seq":1}`: "",
	} {
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "}{", "}\n{")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(text, "cut o") {
			if err := os.Truncate(path, int64(len(text)+1)); err != nil {
				t.Fatal(err)
			}
		}
		s, err := OpenFile(path, 10)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, not %q", text, err, want)
		}
		if err == nil {
			s.Close()
		}
	}
}

func TestARoomThatDoesNotRememberSaysSo(t *testing.T) {
	h := &Hub{Options: Options{History: History{Messages: 3}}}
	link := &handLink{loop: new(handLoop), room: 100}
	keeper, err := h.Member(link, line, "keeper").Join("a", nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		keeper.Publish(Message{Data: []byte("x")})
	}
	epoch := keeper.Room().Position().Epoch
	for _, test := range []struct {
		back     Return
		gap      bool
		replayed int
	}{
		{Return{After: Position{epoch, 10}}, false, 0},
		{Return{After: Position{epoch, 9}}, false, 1},
		{Return{After: Position{epoch, 7}}, false, 3},
		{Return{After: Position{epoch, 6}, Last: 2}, true, 2},
		{Return{After: Position{epoch, 11}, Last: 1}, true, 1},
		{Return{After: Position{"another", 10}}, true, 0},
		{Return{Last: 2}, false, 2},
		{Return{Last: 99}, false, 3},
		{Return{Last: -1}, false, 0},
	} {
		s, err := h.Member(link, line, "m").Join("a", &test.back)
		if err != nil || s.Gap() != test.gap || s.Replayed() != test.replayed {
			t.Errorf("%+v: %v, gap %v, %d replayed", test.back, err, s.Gap(), s.Replayed())
		}
		s.Leave()
	}
}

func TestLimits(t *testing.T) {
	h := &Hub{MaxRooms: 2, RoomsPerMember: 2, Rate: 1, Burst: 3, Options: Options{MaxMembers: 2}}
	link := &handLink{loop: new(handLoop), room: 100}
	m := h.Member(link, line, "m")
	s, err := m.Join("a", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Join("a", nil); err != ErrJoined {
		t.Errorf("joining twice: %v", err)
	}
	if _, err := m.Join("b", nil); err != nil {
		t.Error(err)
	}
	if _, err := m.Join("c", nil); err != ErrTooManyJoined {
		t.Errorf("a third room: %v", err)
	}
	other := h.Member(link, line, "other")
	if _, err := other.Join("c", nil); err != ErrTooManyRooms {
		t.Errorf("a room too many: %v", err)
	}
	if _, err := other.Join("a", nil); err != nil {
		t.Error(err)
	}
	if _, err := h.Member(link, line, "third").Join("a", nil); err != ErrFull {
		t.Errorf("a third member: %v", err)
	}
	for i := range 4 {
		if _, err := s.Publish(Message{Data: []byte("x")}); (err == ErrRate) != (i == 3) {
			t.Errorf("message %d: %v", i, err)
		}
	}
	if _, err := s.Room().Publish(Message{Data: make([]byte, 65<<10)}); err != ErrTooLong {
		t.Errorf("a long message: %v", err)
	}
	m.Leave()
	if _, err := s.Publish(Message{}); err != ErrLeft {
		t.Errorf("after leaving: %v", err)
	}
	if _, err := other.Join("c", nil); err != nil { // b is empty
		t.Error(err)
	}
}

func TestPresenceIsCoalesced(t *testing.T) {
	h := &Hub{Options: Options{Presence: 1 << 40}} // told by hand
	link := &handLink{loop: new(handLoop), room: 100}
	s, _ := h.Member(link, line, "ann").Join("a", nil)
	told := func() string {
		link.got = nil
		s.Room().tellPresence()
		link.loop.run()
		return string(link.got)
	}
	if got := told(); got != "presence +ann -\n" {
		t.Errorf("%q", got)
	}
	bob := h.Member(link, line, "bob")
	bob.Join("a", nil)
	bob.Leave()
	if got := told(); got != "" {
		t.Errorf("who came and went: %q", got)
	}
	bob.Join("a", nil)
	told()
	bob.Rename("rob")
	if names, n := s.Room().Members(); n != 2 || strings.Join(names, " ") != "ann rob" {
		t.Errorf("%v", names)
	}
	if got := told(); got != "presence +rob -bob\npresence +rob -bob\n" { // to both, by one link
		t.Errorf("%q", got)
	}
}

func TestOneStoreAtATimeHasAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history")
	at, s := fill(t, path, 3)
	if second, err := OpenFile(path, 10); err == nil || !strings.Contains(err.Error(), path+": another store has it open") {
		t.Errorf("%v, %v", second, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := OpenFile(path, 10)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if epoch, last, messages, err := s.Load("a", History{Messages: 10}); epoch != at.Epoch || last != at.Seq || len(messages) != 3 || err != nil {
		t.Errorf("%q %d %d %v, wanted %v and 3 messages", epoch, last, len(messages), err, at)
	}
}
