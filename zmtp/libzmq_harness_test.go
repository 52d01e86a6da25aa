package zmtp_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/switchboard-go/switchboard/zmtp"
)

// pyzmq is a Python that can import zmq, "" if there is none.
var pyzmq = sync.OnceValue(func() string {
	for _, path := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(path, "-c", "import zmq").Run() == nil {
			return path
		}
	}
	return ""
})

// A libzmq is a process that does with libzmq what it is told.
type libzmq struct {
	t     *testing.T
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *bufio.Scanner
	count int
}

func startLibzmq(t *testing.T) *libzmq {
	t.Helper()
	python := pyzmq()
	if python == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("no Python can import zmq: install python3-zmq")
		}
		t.Skip("no Python can import zmq: install python3-zmq")
	}
	l := &libzmq{t: t, cmd: exec.Command(python, "testdata/peer.py")}
	l.cmd.Stderr = os.Stderr
	l.in, _ = l.cmd.StdinPipe()
	out, _ := l.cmd.StdoutPipe()
	l.out = bufio.NewScanner(out)
	l.out.Buffer(nil, 64<<20)
	if err := l.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.kill)
	return l
}

func (l *libzmq) kill() {
	l.cmd.Process.Kill()
	l.cmd.Wait()
}

type question struct {
	Op        string            `json:"op"`
	Name      string            `json:"name,omitempty"`
	Type      string            `json:"type,omitempty"`
	Options   map[string]any    `json:"options,omitempty"`
	Endpoint  string            `json:"endpoint,omitempty"`
	Parts     []string          `json:"parts,omitempty"`
	Passwords map[string]string `json:"passwords,omitempty"`
	Count     int               `json:"count,omitempty"`
	Size      int               `json:"size,omitempty"`
	Timeout   int               `json:"timeout,omitempty"`
}

type answer struct {
	Error    string
	Endpoint string
	Parts    []string
	Ready    int
}

// latin1 has every byte of s be one character, as JSON cannot hold bytes.
func latin1(s string) string {
	var b strings.Builder
	for i := range len(s) {
		b.WriteRune(rune(s[i]))
	}
	return b.String()
}

func fromLatin1(s string) string {
	var b []byte
	for _, r := range s {
		b = append(b, byte(r))
	}
	return string(b)
}

// begin asks without waiting for the answer, which end does.
func (l *libzmq) begin(q question) {
	l.t.Helper()
	for i, part := range q.Parts {
		q.Parts[i] = latin1(part)
	}
	for name, value := range q.Options {
		if s, ok := value.(string); ok {
			q.Options[name] = latin1(s)
		}
	}
	line, err := json.Marshal(q)
	if err == nil {
		_, err = l.in.Write(append(line, '\n'))
	}
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *libzmq) end() (a answer) {
	l.t.Helper()
	if !l.out.Scan() {
		l.t.Fatalf("libzmq's process has ended: %v", l.out.Err())
	}
	if err := json.Unmarshal(l.out.Bytes(), &a); err != nil {
		l.t.Fatal(err)
	}
	if a.Error != "" {
		l.t.Fatalf("libzmq: %s", a.Error)
	}
	for i, part := range a.Parts {
		a.Parts[i] = fromLatin1(part)
	}
	return a
}

func (l *libzmq) do(q question) answer {
	l.t.Helper()
	l.begin(q)
	return l.end()
}

// A theirs is a socket of libzmq.
type theirs struct {
	l    *libzmq
	name string
}

func (l *libzmq) socket(typ string, options map[string]any) theirs {
	l.t.Helper()
	l.count++
	s := theirs{l, fmt.Sprint(l.count)}
	l.do(question{Op: "socket", Name: s.name, Type: typ, Options: options})
	return s
}

func (s theirs) bind(endpoint string) string {
	s.l.t.Helper()
	return s.l.do(question{Op: "bind", Name: s.name, Endpoint: endpoint}).Endpoint
}

func (s theirs) connect(endpoint string) {
	s.l.t.Helper()
	s.l.do(question{Op: "connect", Name: s.name, Endpoint: endpoint})
}

func (s theirs) send(parts ...string) {
	s.l.t.Helper()
	s.l.do(question{Op: "send", Name: s.name, Parts: parts})
}

func (s theirs) recv() string {
	s.l.t.Helper()
	return strings.Join(s.l.do(question{Op: "recv", Name: s.name}).Parts, "|")
}

func (s theirs) expect(want string) {
	s.l.t.Helper()
	if got := s.recv(); got != want {
		s.l.t.Fatalf("libzmq received %q, want %q", got, want)
	}
}

// link connects the two, whoever binds.
func link(t *testing.T, ours *zmtp.Socket, their theirs, weBind bool, endpoint string) {
	t.Helper()
	if weBind {
		their.connect(bind(t, ours, endpoint))
	} else {
		connect(t, ours, their.bind(endpoint))
	}
}

// securities are what both sides may be set up with: ours if we are the server of the mechanism, and if not.
type security struct {
	name      string
	ours      func(server bool) zmtp.Options
	theirs    func(server bool) map[string]any
	passwords map[string]string
}

func securities(t *testing.T) []security {
	serverPublic, serverSecret := zmtp.NewKeyPair()
	clientPublic, clientSecret := zmtp.NewKeyPair()
	return []security{
		{name: "NULL", ours: func(bool) zmtp.Options { return zmtp.Options{} }, theirs: func(bool) map[string]any { return map[string]any{} }},
		{name: "PLAIN", passwords: map[string]string{"ann": "secret"},
			ours: func(server bool) zmtp.Options {
				if !server {
					return zmtp.Options{Security: zmtp.PlainClient{Username: "ann", Password: "secret"}}
				}
				return zmtp.Options{Security: zmtp.PlainServer{}, Authenticate: func(l *zmtp.Login) (string, error) {
					if l.Username != "ann" || l.Password != "secret" {
						return "", errors.New("wrong password")
					}
					return l.Username, nil
				}}
			},
			theirs: func(server bool) map[string]any {
				if server {
					return map[string]any{"PLAIN_SERVER": 1, "ZAP_DOMAIN": "global"}
				}
				return map[string]any{"PLAIN_USERNAME": "ann", "PLAIN_PASSWORD": "secret"}
			}},
		{name: "CURVE",
			ours: func(server bool) zmtp.Options {
				if !server {
					return zmtp.Options{Security: zmtp.CurveClient{ServerKey: serverPublic, SecretKey: clientSecret}}
				}
				return zmtp.Options{Security: zmtp.CurveServer{SecretKey: serverSecret}, Authenticate: func(l *zmtp.Login) (string, error) {
					if l.Key != clientPublic {
						return "", errors.New("unknown key")
					}
					return "ann", nil
				}}
			},
			theirs: func(server bool) map[string]any {
				if server {
					return map[string]any{"CURVE_SERVER": 1, "CURVE_SECRETKEY": serverSecret.String()}
				}
				return map[string]any{"CURVE_SERVERKEY": serverPublic.String(), "CURVE_PUBLICKEY": clientPublic.String(),
					"CURVE_SECRETKEY": clientSecret.String()}
			}},
	}
}

// withLibzmq runs f with libzmq as every mechanism, version and side to bind has it.
func withLibzmq(t *testing.T, f func(t *testing.T, v variant)) {
	for _, sec := range securities(t) {
		l := startLibzmq(t)
		l.do(question{Op: "authenticate", Passwords: sec.passwords})
		for _, version30 := range []bool{false, true} {
			for _, weBind := range []bool{true, false} {
				name := fmt.Sprintf("%s/3.%d/%s", sec.name, map[bool]int{true: 0, false: 1}[version30],
					map[bool]string{true: "bind", false: "connect"}[weBind])
				t.Run(name, func(t *testing.T) {
					l := &libzmq{t: t, cmd: l.cmd, in: l.in, out: l.out, count: l.count + 1000*len(t.Name())}
					f(t, variant{t: t, l: l, c: newContext(t), sec: sec, version30: version30, weBind: weBind})
				})
			}
		}
		l.kill()
	}
}

type variant struct {
	t                 *testing.T
	l                 *libzmq
	c                 *zmtp.Context
	sec               security
	version30, weBind bool
}

// pair makes one of our sockets and one of theirs, connected.
func (v variant) pair(typ zmtp.Type, o zmtp.Options, their string, options map[string]any) (*zmtp.Socket, theirs) {
	v.t.Helper()
	secure := v.sec.ours(v.weBind)
	o.Security, o.Authenticate, o.Version30 = secure.Security, secure.Authenticate, v.version30
	all := v.sec.theirs(!v.weBind)
	for name, value := range options {
		all[name] = value
	}
	a, b := socketOf(v.t, v.c, typ, &o), v.l.socket(their, all)
	v.t.Cleanup(func() {
		if !v.t.Failed() {
			v.l.do(question{Op: "close", Name: b.name})
		}
	})
	link(v.t, a, b, v.weBind, "tcp://127.0.0.1:*")
	return a, b
}
