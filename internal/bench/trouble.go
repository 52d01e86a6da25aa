package bench

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"

	"github.com/switchboard-go/switchboard"
)

// A fault is an answer that is not what was expected.
type fault struct {
	kind   string // of its kind there may be many, counted together
	detail string
}

func (f *fault) Error() string {
	if f.detail == "" {
		return f.kind
	}
	return f.kind + ": " + f.detail
}

// What servers do wrong.
var (
	errClosed   = &fault{kind: "closed by the server"}
	errNoAnswer = &fault{kind: "no answer"}
)

// kindHTTP is an echo that is a response of HTTP.
const kindHTTP = "this is HTTP"

// refuses tells whether err says that the server will answer no message, however often it is tried: it answers in HTTP, or an
// alert of TLS has refused the client.
func refuses(err error) bool {
	var f *fault
	return errors.As(err, &f) && f.kind == kindHTTP || IsTLSAlert(err)
}

// IsTLSAlert tells whether an error is, or wraps, an alert of TLS from the other side.
func IsTLSAlert(err error) bool {
	var op *net.OpError
	for errors.As(err, &op) {
		if op.Op == "remote error" {
			return true
		}
		err = op.Err
	}
	return false
}

// refuse ends the run with an error.
func (r *run) refuse(err error) {
	select {
	case r.refusals <- err:
	default: // it ends already
	}
}

// differs is an echo that is not what was sent.
func differs(at int64, got, want []byte) *fault {
	i := 0
	for got[i] == want[i] {
		i++
	}
	few := func(p []byte) string { return hex.EncodeToString(p[i:min(len(p), i+8)]) }
	return &fault{"wrong bytes", fmt.Sprintf("at byte %d of the connection: got %s…, not %s…", at+int64(i), few(got), few(want))}
}

// kindOf names what err has in common with others of its kind: no addresses, no positions.
func kindOf(err error) string {
	var (
		f    *fault
		call *os.SyscallError
		dns  *net.DNSError
		op   *net.OpError
	)
	switch {
	case errors.As(err, &f):
		return f.kind
	case errors.As(err, &call):
		var errno syscall.Errno
		if errors.As(call.Err, &errno) {
			return call.Syscall + ": " + errno.Error()
		}
		return call.Error()
	case errors.As(err, &dns):
		return "resolve: " + dns.Err
	case errors.Is(err, switchboard.ErrServerClosed), errors.Is(err, switchboard.ErrAborted):
		return "ended here"
	case errors.As(err, &op) && op.Err != nil:
		return op.Op + ": " + op.Err.Error()
	}
	return err.Error()
}
