package bench

import (
	"bytes"
	"fmt"
)

// Answers finds the answers in what a connection receives.
type answers interface {
	// take says how many bytes of p it has used up and how many answers have come to their end in them; what it leaves
	// is offered again with more. errLast says that the connection ends in order after these, any other error that the
	// server is wrong.
	take(k *client, p []byte) (used, whole int, err error)

	// end tells that the server has closed, after rest was left, and returns how many answers that has completed.
	end(rest []byte) (whole int, err error)

	// reset begins with a new connection.
	reset()
}

func (r *run) newAnswers() answers {
	switch r.cfg.Expect {
	case Line:
		return &lines{each: max(1, bytes.Count(r.cfg.Payload, []byte("\n")))}
	case HTTP:
		return &responses{toHead: bytes.HasPrefix(r.cfg.Payload, []byte("HEAD "))}
	case None:
		return nothing{}
	}
	return echo{}
}

// echo wants back what was sent.
type echo struct{}

func (echo) take(k *client, p []byte) (used, whole int, err error) {
	mine := int(min(int64(len(p)), k.sent-k.got))
	for used < mine {
		n := min(mine-used, chunk)
		want := k.run.pattern.at(k.gotAt, n)
		if got := p[used : used+n]; !bytes.Equal(got, want) {
			if k.got == 0 && bytes.HasPrefix(p, []byte("HTTP/1.")) {
				return used, 0, isHTTP(p)
			}
			return used, 0, differs(k.got, got, want)
		}
		used += n
		k.got += int64(n)
		k.gotAt = k.run.pattern.after(k.gotAt, n)
	}
	if used < len(p) {
		return used, 0, &fault{kind: "more bytes than were sent"}
	}
	for whole < k.flight.n && k.flight.at(whole).end <= k.got {
		whole++
	}
	return used, whole, nil
}

// isHTTP is an echo that begins as a response of HTTP does.
func isHTTP(p []byte) *fault {
	first, _, _ := bytes.Cut(p, []byte("\r\n"))
	return &fault{kindHTTP, fmt.Sprintf("the answer begins with %.60q (http://HOST:PORT/PATH or --expect http loads such servers)", first)}
}

func (echo) end([]byte) (int, error) { return 0, nil }
func (echo) reset()                  {}

// nothing drops what comes.
type nothing struct{}

func (nothing) take(_ *client, p []byte) (int, int, error) { return len(p), 0, nil }
func (nothing) end([]byte) (int, error)                    { return 0, nil }
func (nothing) reset()                                     {}

// lines wants a line for each line, whatever it says.
type lines struct {
	each int // lines in a message
	have int // lines of the answer under way
}

func (l *lines) take(_ *client, p []byte) (used, whole int, err error) {
	l.have += bytes.Count(p, []byte("\n"))
	whole = l.have / l.each
	l.have %= l.each
	return len(p), whole, nil
}

func (l *lines) end([]byte) (int, error) { return 0, nil }
func (l *lines) reset()                  { l.have = 0 }
