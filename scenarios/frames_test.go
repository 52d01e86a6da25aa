package scenarios

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/frame"
)

// Each format of package frame, and each split function of bufio, finds the same messages on a loop as in a Scanner,
// however the input is cut.
func TestFramesFindsTheMessagesThatAScannerFinds(t *testing.T) {
	formats := map[string]frame.Format{
		"fixed":     frame.Fixed(16),
		"lines":     frame.Lines(0),
		"CRLF":      frame.LinesCRLF(0),
		"delimiter": frame.Delimiter("\x00\x00", 0),
		"uint8":     frame.LengthPrefix(1, binary.BigEndian, 255),
		"uint16":    frame.LengthPrefix(2, binary.BigEndian, 0),
		"uint32":    frame.LengthPrefix(4, binary.LittleEndian, 0).CountingItself(),
		"decimal":   frame.Decimal(5, 0),
		"varint":    frame.Varint(0),
		"netstring": frame.Netstring(0),
	}
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		rng := rand.New(rand.NewPCG(1, 2))
		for name, format := range formats {
			t.Run(name, func(t *testing.T) {
				var stream []byte
				var want []string
				for range 200 {
					m := bytes.Repeat([]byte{byte('a' + rng.IntN(26))}, rng.IntN(200))
					if name == "fixed" {
						m = bytes.Repeat([]byte{byte('a' + rng.IntN(26))}, 16)
					}
					var err error
					if stream, err = format.Append(stream, m); err != nil {
						t.Fatal(err)
					}
					want = append(want, string(m))
				}
				framesAre(t, s, format.Split, stream, want, rng)
			})
		}
		for name, split := range map[string]bufio.SplitFunc{"ScanLines": bufio.ScanLines, "ScanWords": bufio.ScanWords,
			"ScanRunes": bufio.ScanRunes, "ScanBytes": bufio.ScanBytes} {
			t.Run(name, func(t *testing.T) {
				stream := []byte("two words\nand a line\r\n\n\nä ö ü\nthe last without an end")
				var want []string
				messages := bufio.NewScanner(bytes.NewReader(stream))
				messages.Split(split)
				for messages.Scan() {
					want = append(want, messages.Text())
				}
				framesAre(t, s, split, stream, want, rng)
			})
		}
	})
}

// framesAre makes sure that split finds want in stream.
func framesAre(t *testing.T, s *switchboard.Server, split bufio.SplitFunc, stream []byte, want []string, rng *rand.Rand) {
	t.Helper()
	s = &switchboard.Server{Engine: s.Engine, TLSConfig: s.TLSConfig, Logger: s.Logger, Loops: 1}
	var got []string
	h := &framed{switchboard.Frames(split, func(c *switchboard.Conn, m []byte) error {
		got = append(got, string(m))
		return nil
	}), make(chan error, 1)}
	s.Accept = everyone(h)
	p := call(t, start(t, s))
	for len(stream) > 0 {
		n := min(len(stream), 1+rng.IntN(1+rng.IntN(1000)))
		p.says(string(stream[:n]))
		stream = stream[n:]
	}
	p.endsOutput()
	p.hearsEnd("")
	if err := next(t, h.ended); err != nil {
		t.Errorf("ended with %v", err)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%d messages, want %d: %.200q, want %.200q", len(got), len(want), got, want)
	}
}

func TestErrorsOfFramesEndTheConnection(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		oops := errors.New("oops")
		always := func(advance int, message []byte, err error) bufio.SplitFunc {
			return func(data []byte, atEOF bool) (int, []byte, error) { return advance, message, err }
		}
		answer := func(c *switchboard.Conn, m []byte) error {
			_, err := c.Write(m)
			return err
		}
		for name, c := range map[string]struct {
			split bufio.SplitFunc
			f     func(c *switchboard.Conn, m []byte) error
			hears string
			want  error
		}{
			"of the function":          {bufio.ScanWords, func(*switchboard.Conn, []byte) error { return oops }, "", oops},
			"its EOF":                  {bufio.ScanWords, func(*switchboard.Conn, []byte) error { return io.EOF }, "", nil},
			"of split":                 {always(0, nil, oops), answer, "", oops},
			"a final token":            {always(2, []byte("final"), bufio.ErrFinalToken), answer, "final", nil},
			"a negative advance":       {always(-1, nil, nil), answer, "", switchboard.ErrBadCount},
			"an advance too far":       {always(1000, nil, nil), answer, "", switchboard.ErrBadCount},
			"a malformed netstring":    {frame.Netstring(10).Split, answer, "", frame.ErrMalformed},
			"a message that is longer": {frame.LengthPrefix(1, binary.BigEndian, 10).Split, answer, "", frame.ErrTooLong},
		} {
			t.Run(name, func(t *testing.T) {
				s := newServer(t, s.Engine)
				h := &framed{switchboard.Frames(c.split, c.f), make(chan error, 1)}
				s.Accept = everyone(h)
				p := call(t, start(t, s))
				p.says("some words ")
				p.hearsEndFor(c.want, c.hears)
				p.Close()
				if err := next(t, h.ended); !errors.Is(err, c.want) {
					t.Errorf("ended with %v, want %v", err, c.want)
				}
			})
		}
	})
}

func TestSplitThatFindsMessagesInNothingIsStopped(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		h := &framed{switchboard.Frames(func([]byte, bool) (int, []byte, error) { return 0, []byte{}, nil },
			func(*switchboard.Conn, []byte) error { return nil }), make(chan error, 1)}
		s.Accept = everyone(h)
		p := call(t, start(t, s))
		p.says("x")
		p.hearsFailure("")
		p.Close()
		if err := next(t, h.ended); err == nil || !strings.Contains(err.Error(), "without end") {
			t.Errorf("ended with %v", err)
		}
	})
}

func TestFramesEndInTheMiddleOfAMessage(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		h := &framed{switchboard.Frames(frame.Netstring(0).Split, func(c *switchboard.Conn, m []byte) error {
			_, err := c.Write(m)
			return err
		}), make(chan error, 1)}
		s.Accept = everyone(h)
		p := call(t, start(t, s))
		p.says("5:whole,5:hal")
		p.endsOutput()
		p.hearsFailure("whole")
		if err := next(t, h.ended); !errors.Is(err, frame.ErrTruncated) {
			t.Errorf("ended with %v", err)
		}
	})
}

// While its queue is full or it is paused, no message is handed on; none is lost.
func TestFramesStopWhileTheConnectionDoes(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		s.HighWater = 10_000
		full := 0
		reply := strings.Repeat("x", 1000)
		s.Accept = everyone(switchboard.Frames(bufio.ScanLines, func(c *switchboard.Conn, m []byte) error {
			if c.Full() {
				t.Error("called while the queue is full")
			}
			if string(m) == "pause" {
				c.Pause()
				c.After(1, c.Resume)
			}
			_, err := fmt.Fprintf(c, "%s %s\n", m, reply)
			if c.Full() {
				full++
			}
			return err
		}))
		p := call(t, start(t, s))
		var want strings.Builder
		go func() {
			for i := range 4000 {
				if i%100 == 0 {
					io.WriteString(p, "pause\n")
				}
				fmt.Fprintf(p, "%d\n", i)
			}
			p.Conn.(interface{ CloseWrite() error }).CloseWrite()
		}()
		for i := range 4000 {
			if i%100 == 0 {
				fmt.Fprintf(&want, "pause %s\n", reply)
			}
			fmt.Fprintf(&want, "%d %s\n", i, reply)
		}
		p.hearsEnd(want.String())
	})
}

// What comes together with the message whose function changes the handler is for the other handler.
func TestFramesLeaveTheRestToTheOtherHandler(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		last := switchboard.Frames(bufio.ScanLines, func(c *switchboard.Conn, m []byte) error {
			_, err := fmt.Fprintf(c, "second %s\n", m)
			return err
		})
		s.Accept = everyone(switchboard.Frames(bufio.ScanLines, func(c *switchboard.Conn, m []byte) error {
			if string(m) == "change" {
				c.SetHandler(last)
			}
			_, err := fmt.Fprintf(c, "first %s\n", m)
			return err
		}))
		p := call(t, start(t, s))
		p.says("one\nchange\nchange\nfour\nfi")
		p.hears("first one\nfirst change\nsecond change\nsecond four\n")
		p.says("ve\n")
		p.endsOutput()
		p.hearsEnd("second five\n")
	})
}

func TestFramesLeaveTheRestToAPipe(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		var first *switchboard.Conn
		s.Loops = 1
		s.Accept = everyone(switchboard.Frames(bufio.ScanLines, func(c *switchboard.Conn, m []byte) error {
			switch string(m) {
			case "wait":
				first = c
				c.Write([]byte("waiting\n"))
			case "join":
				switchboard.Pipe(c, first)
			default:
				fmt.Fprintf(c, "not piped: %s\n", m)
			}
			return nil
		}))
		address := start(t, s)
		a := call(t, address)
		a.says("wait\n")
		a.hears("waiting\n")
		b := call(t, address)
		b.says("join\nhello\nyou\n")
		a.hears("hello\nyou\n")
		a.says("and you")
		a.endsOutput()
		b.endsOutput()
		b.hearsEnd("and you")
		a.hearsEnd("")
	})
}

func TestFramesCountMessagesNotCalls(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		s.Accept = everyone(switchboard.Frames(bufio.ScanLines, func(c *switchboard.Conn, m []byte) error {
			_, err := c.Write([]byte("."))
			return err
		}))
		p := call(t, start(t, s))
		p.says("one\ntwo\nthr")
		p.hears("..")
		p.says("ee\n")
		p.hears(".")
		eventually(t, "three are counted", func() bool { return s.Stats().Messages == 3 })
	})
}

// A handler of more than messages embeds what Frames returns.
type wellMannered struct {
	*switchboard.FrameHandler
	left chan error
}

func (h *wellMannered) Closed(_ *switchboard.Conn, err error) { h.left <- err }

func (h *wellMannered) InputEnded(c *switchboard.Conn, rest []byte) error {
	c.Write([]byte("goodbye"))
	return h.FrameHandler.InputEnded(c, rest)
}

func TestFramesCanBeEmbedded(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		h := &wellMannered{switchboard.Frames(bufio.ScanLines, func(c *switchboard.Conn, m []byte) error {
			_, err := c.Write(append(m, '\n'))
			return err
		}), make(chan error, 1)}
		s.Accept = everyone(h)
		p := call(t, start(t, s))
		p.says("hello\nhalf")
		p.endsOutput()
		p.hearsEnd("hello\ngoodbyehalf\n")
		if err := next(t, h.left); err != nil {
			t.Errorf("ended with %v", err)
		}
	})
}
