package scenarios

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/frame"
)

// What WriteMessage sends is what frame.Format.Append makes, for small and for large messages, from the loop and from
// elsewhere.
func TestWriteMessageFramesAsAppendDoes(t *testing.T) {
	formats := map[string]frame.Format{
		"lines":     frame.Lines(0),
		"CRLF":      frame.LinesCRLF(0),
		"delimiter": frame.Delimiter("\x00\x00", 0),
		"uint32":    frame.LengthPrefix(4, binary.LittleEndian, 0).CountingItself(),
		"decimal":   frame.Decimal(18, 0),
		"varint":    frame.Varint(0),
		"netstring": frame.Netstring(0),
	}
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		conns := accepted(s, echo)
		address := start(t, s)
		for name, format := range formats {
			t.Run(name, func(t *testing.T) {
				p := call(t, address)
				c := next(t, conns)
				var want []byte
				for i, size := range []int{0, 1, 64, 5000, 40_000} {
					message := bytes.Repeat([]byte{byte('a' + i)}, size)
					var err error
					if want, err = format.Append(want, message); err != nil {
						t.Fatal(err)
					}
					write := func() { err = c.WriteMessage(format, message) }
					if i%2 == 0 {
						write()
					} else {
						onLoop(t, c, write)
					}
					if err != nil {
						t.Fatal(err)
					}
				}
				p.hears(string(want))
			})
		}
	})
}

// A header, of any length, and what it is for arrive as one Write, from the loop and from elsewhere. On the loop a header on the
// stack costs no allocation.
func TestWriteFrameKeepsHeaderAndPayloadTogether(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		conns := accepted(s, echo)
		p := call(t, start(t, s))
		c := next(t, conns)
		var want []byte
		for i, size := range []int{0, 1, 64, 5000, 40_000} {
			header, payload := bytes.Repeat([]byte{'h'}, 12*i), bytes.Repeat([]byte{byte('a' + i)}, size)
			want = append(append(want, header...), payload...)
			for range 2 {
				var err error
				write := func() { err = c.WriteFrame(header, payload) }
				if i%2 == 0 {
					write()
				} else {
					onLoop(t, c, write)
				}
				if err != nil {
					t.Fatal(err)
				}
				clear(header) // neither is kept
				clear(payload)
				p.hears(string(want))
				for j := range header {
					header[j] = 'h'
				}
				for j := range payload {
					payload[j] = byte('a' + i)
				}
			}
			want = want[:0]
		}
		payload := make([]byte, 10)
		onLoop(t, c, func() {
			if n := testing.AllocsPerRun(100, func() {
				var header [10]byte
				c.WriteFrame(header[:], payload)
			}); n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
		c.Close()
		if err := c.WriteFrame([]byte("head"), payload); !errors.Is(err, net.ErrClosed) {
			t.Errorf("written after Close: %v", err)
		}
	})
}

func TestMessageThatTheFormatCannotCarryIsNotWritten(t *testing.T) {
	inTheClear(t, func(t *testing.T, s *switchboard.Server) {
		conns := accepted(s, echo)
		p := call(t, start(t, s))
		c := next(t, conns)
		for _, w := range []struct {
			format  frame.Format
			message string
			want    error
		}{
			{frame.Lines(3), "long", frame.ErrTooLong},
			{frame.Lines(100), "two\nlines", frame.ErrUnfit},
			{frame.Delimiter("aa", 100), "ends with a", frame.ErrUnfit},
			{frame.Fixed(3), "four", frame.ErrUnfit},
		} {
			if err := c.WriteMessage(w.format, []byte(w.message)); !errors.Is(err, w.want) {
				t.Errorf("%q: %v, want %v", w.message, err, w.want)
			}
		}
		if err := c.WriteMessage(frame.Lines(100), []byte("this")); err != nil {
			t.Fatal(err)
		}
		p.hears("this\n")
		c.Close()
		if err := c.WriteMessage(frame.Lines(100), []byte("late")); err == nil {
			t.Error("written after Close")
		}
		p.hearsEnd("")
	})
}

// A format whose messages would not fit InputLimit is refused when the server starts, dials or accepts, with both numbers.
func TestFormatBeyondInputLimitIsRefused(t *testing.T) {
	big := switchboard.Messages(frame.LengthPrefix(4, nil, 2<<20), func(*switchboard.Conn, []byte) error { return nil })
	both := func(t *testing.T, err error) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), "2097156") || !strings.Contains(err.Error(), "1048576") {
			t.Errorf("refused with %v", err)
		}
	}
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		s.Handler = big
		both(t, s.ListenAndServe("127.0.0.1:0"))

		var log bytes.Buffer
		refused := make(chan error, 10)
		s = newServer(t, s.Engine)
		s.Loops, s.Logger = 1, textLog(&log)
		s.Accept = everyone(big)
		s.Trace = &switchboard.Trace{Refused: func(_ *switchboard.Conn, err error) { refused <- err }}
		address := start(t, s)
		for range 2 {
			call(t, address).hearsEnd("")
			both(t, next(t, refused))
		}
		_, err := s.Dial(t.Context(), address, big)
		both(t, err)
		stop(s)
		if n := strings.Count(log.String(), "cannot serve"); n != 1 {
			t.Errorf("logged %d times: %s", n, &log)
		}
	})
	bad := switchboard.Messages(frame.LengthPrefix(9, nil, 0), func(*switchboard.Conn, []byte) error { return nil })
	if err := switchboard.ListenAndServe("127.0.0.1:0", bad); err == nil || !strings.Contains(err.Error(), "9 bytes") {
		t.Errorf("a format that is none: %v", err)
	}
}

// A message exactly as long as its format and the limit allow is served, one byte more is the format's ErrTooLong.
func TestLongestMessageFitsInputLimit(t *testing.T) {
	const longest = 5000
	format := frame.Lines(longest)
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		s.InputLimit = format.BufferSize()
		ended := make(chan error, 1)
		s.Handler = &framed{switchboard.Messages(format, func(c *switchboard.Conn, m []byte) error {
			return c.WriteMessage(format, m)
		}), ended}
		p := call(t, start(t, s))
		line := strings.Repeat("x", longest) + "\n"
		p.says(line)
		p.hears(line)
		p.says("x" + line)
		p.hearsFailure("")
		if err := next(t, ended); !errors.Is(err, frame.ErrTooLong) {
			t.Errorf("ended with %v", err)
		}
	})
}

func TestTooLongOfASplitFunctionSaysBothNumbers(t *testing.T) {
	inTheClear(t, func(t *testing.T, s *switchboard.Server) {
		s.InputLimit = 1234
		ended := make(chan error, 1)
		s.Handler = &framed{switchboard.Frames(func([]byte, bool) (int, []byte, error) { return 0, nil, nil },
			func(*switchboard.Conn, []byte) error { return nil }), ended}
		p := call(t, start(t, s))
		p.says(strings.Repeat("x", 1234))
		err := next(t, ended)
		if !errors.Is(err, switchboard.ErrTooLong) || strings.Count(err.Error(), "1234") != 2 {
			t.Errorf("ended with %v", err)
		}
	})
}

// A handler that appends to what it is offered, or to a message, overwrites nothing that comes after it.
func TestAppendingToInputCorruptsNothing(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		s.Handler = switchboard.Messages(frame.Lines(0), func(c *switchboard.Conn, m []byte) error {
			_ = append(m, "garbage garbage garbage"...)
			return c.WriteMessage(frame.Lines(0), m)
		})
		p := call(t, start(t, s))
		p.says("one\ntwo\nthree\nfo")
		p.hears("one\ntwo\nthree\n")
		p.says("ur\n")
		p.hears("four\n")

		s = newServer(t, s.Engine)
		s.InputLimit = 8
		raw := make(chan string, 100)
		s.Handler = switchboard.DataFunc(func(_ *switchboard.Conn, p []byte) (int, error) {
			_ = append(p, "garbage"...)
			raw <- string(p[:1])
			return 1, nil
		})
		p = call(t, start(t, s))
		p.says("abcdefghijkl")
		for _, want := range "abcdefghijkl" {
			if got := next(t, raw); got != string(want) {
				t.Errorf("offered %q, want %q", got, want)
			}
		}
	})
}
