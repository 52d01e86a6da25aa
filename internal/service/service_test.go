package service

import (
	"encoding/binary"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

func TestEchoAnswersWithWhatItGot(t *testing.T) {
	if got := Echo.Answer([]byte("hello")); string(got) != "hello" {
		t.Errorf("answer %q", got)
	}
}

// The first two lines, as RFC 864 prints them.
func TestChargenSendsTheLinesOfRFC864(t *testing.T) {
	got := make([]byte, 2*74)
	if _, err := io.ReadFull(Chargen.Speech(), got); err != nil {
		t.Fatal(err)
	}
	want := `!"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\]^_` + "`abcdefgh\r\n" +
		`"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\]^_` + "`abcdefghi\r\n"
	if string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestChargenIsTheSameInAnyPieces(t *testing.T) {
	const size = 20_000 // nearly three turns of the pattern
	whole, pieces := make([]byte, size), make([]byte, size)
	if _, err := io.ReadFull(Chargen.Speech(), whole); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(iotest.OneByteReader(Chargen.Speech()), pieces); err != nil {
		t.Fatal(err)
	}
	if string(whole) != string(pieces) {
		t.Error("read in single bytes, the pattern differs")
	}
	if lines := strings.Split(string(whole), "\r\n"); lines[0] != lines[printable] {
		t.Errorf("after a full turn the pattern does not begin again: %q", lines[printable])
	}
}

func TestDaytimeIsOneLineInTheFormOfRFC867(t *testing.T) {
	pst := time.FixedZone("PST", -8*60*60)
	got := daytime(time.Date(1982, time.February, 22, 17, 37, 43, 0, pst))
	if want := "Monday, February 22, 1982 17:37:43-PST\r\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// The moments and their numbers are those RFC 868 lists; 2036 is where its 32 bits start again.
func TestTimeCountsTheSecondsOfRFC868(t *testing.T) {
	for when, want := range map[time.Time]uint32{
		time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC):   2_208_988_800,
		time.Date(1976, 1, 1, 0, 0, 0, 0, time.UTC):   2_398_291_200,
		time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC):   2_524_521_600,
		time.Date(1983, 5, 1, 0, 0, 0, 0, time.UTC):   2_629_584_000,
		time.Date(2036, 2, 7, 6, 28, 16, 0, time.UTC): 0,
	} {
		if got := binary.BigEndian.Uint32(seconds(when)); got != want {
			t.Errorf("%s: %d, want %d", when.Format(time.DateTime), got, want)
		}
	}
}

func TestDaytimeAndTimeEnd(t *testing.T) {
	for _, s := range []Service{Daytime, Time} {
		if p, err := io.ReadAll(s.Speech()); err != nil || len(p) == 0 {
			t.Errorf("%s: %q, %v", s.Name, p, err)
		}
	}
}
