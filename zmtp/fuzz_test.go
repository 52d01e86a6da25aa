package zmtp

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
)

func FuzzGreeting(f *testing.F) {
	f.Add(appendGreeting(nil, greeting{1, "NULL", false}))
	f.Add(appendGreeting(nil, greeting{0, "CURVE", true}))
	f.Add([]byte("GET / HTTP/1.1"))
	f.Add([]byte("\x01\x00"))
	f.Add([]byte("\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > greetingSize {
			b = b[:greetingSize]
		}
		err := checkGreeting(b)
		for i := range b {
			if early := checkGreeting(b[:i]); early != nil && err == nil {
				t.Fatalf("%q is refused, and %q is not", b[:i], b)
			}
		}
		if err != nil || len(b) < greetingSize {
			return
		}
		g, err := parseGreeting(b)
		if err != nil {
			return
		}
		again, err := parseGreeting(appendGreeting(nil, g))
		if err != nil || again != g {
			t.Fatalf("%v becomes %v, %v", g, again, err)
		}
	})
}

func FuzzProperties(f *testing.F) {
	f.Add(appendProperty(appendProperty(nil, "Socket-Type", []byte("REQ")), "Identity", nil))
	f.Add([]byte("\x01a\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		all, err := parseProperties(b)
		if err != nil {
			return
		}
		var again []byte
		for _, p := range all {
			again = appendProperty(again, p.name, p.value)
		}
		if !bytes.Equal(again, b) {
			t.Fatalf("%q becomes %q", b, again)
		}
	})
}

func FuzzCommand(f *testing.F) {
	f.Add([]byte("\x04PING\x00\x00"))
	f.Add([]byte("\x09SUBSCRIBEtopic"))
	f.Fuzz(func(t *testing.T, b []byte) {
		name, data, err := parseCommand(b)
		if err == nil && (len(name) == 0 || name+string(data) != string(b[1:])) {
			t.Fatalf("%q is %q and %q", b, name, data)
		}
	})
}

// testPeer is a peer that is ready, without a connection.
func testPeer(t *testing.T, typ Type, o Options) *peer {
	s, err := new(Context).NewSocket(typ, &o)
	if err != nil {
		t.Fatal(err)
	}
	p, other := &peer{s: s}, &peer{s: s}
	p.extra().other, other.extra().other = other, p
	other.state.set(stateGone)
	s.begin(p)
	if err := s.join(p, ""); err != nil {
		t.Fatal(err)
	}
	return p
}

// taken returns all messages that wait, each part quoted.
func taken(s *Socket) (all []string) {
	var m Message
	for s.TryRecv(&m) == nil {
		all = append(all, fmt.Sprintf("%q", m.Parts))
	}
	return all
}

// However the bytes are cut, the same messages come and the same error.
func FuzzFrames(f *testing.F) {
	whole := appendParts(nil, [][]byte{[]byte("one"), nil, bytes.Repeat([]byte("x"), 300)})
	whole = appendCommand(whole, "PING", []byte{0, 0})
	whole = appendParts(whole, [][]byte{nil})
	for _, typ := range []Type{PULL, DISH, REP, XPUB, PUB} {
		f.Add(byte(typ), uint16(3), whole)
		f.Add(byte(typ), uint16(1), appendCommand(nil, "SUBSCRIBE", []byte("a")))
		f.Add(byte(typ), uint16(7), appendCommand(appendCommand(nil, "SUBSCRIBE", []byte("ab")), "CANCEL", []byte("a")))
	}
	f.Add(byte(PULL), uint16(2), []byte("\x02\xff\xff\xff\xff\xff\xff\xff\xff"))
	f.Add(byte(1), uint16(1), []byte("\x00\x01\x00BSCRIBEa"))
	f.Add(byte(PULL), uint16(2), []byte("\x01\x01a\x04\x05\x04PONG\x00\x01b"))
	f.Fuzz(func(t *testing.T, typ byte, cut uint16, b []byte) {
		if typ >= byte(types) || !traits[typ].recvs && Type(typ) != PUB {
			return
		}
		o := Options{MaxMessageSize: 1 << 16, MaxParts: 8, SubscriptionLimit: 2000}
		once, many := testPeer(t, Type(typ), o), testPeer(t, Type(typ), o)
		errOnce := once.input(slices.Clone(b))
		var errMany error
		for rest := slices.Clone(b); len(rest) > 0 && errMany == nil; {
			n := min(len(rest), int(cut)+1)
			errMany = many.input(rest[:n])
			for i := range rest[:n] {
				rest[i] = 0xee // the buffer is the connection's again
			}
			rest = rest[n:]
		}
		// A message that is refused when it is delivered ends its peer without an error of input.
		ended := func(p *peer, err error) bool { return err != nil || p.state.get() != stateReady }
		if ended(once, errOnce) != ended(many, errMany) {
			t.Fatalf("at once: %v, in pieces of %d: %v", errOnce, cut+1, errMany)
		}
		if a, b := taken(once.s), taken(many.s); !slices.Equal(a, b) {
			t.Fatalf("at once %v, in pieces of %d %v", a, cut+1, b)
		}
	})
}

// What one side seals the other opens; what was changed on the way, or comes again, it does not.
func FuzzCurveMessages(f *testing.F) {
	f.Add(byte(flagMore), []byte("body"), uint16(20), byte(1))
	f.Add(byte(flagCommand), []byte(nil), uint16(0), byte(0))
	f.Fuzz(func(t *testing.T, flags byte, body []byte, at uint16, change byte) {
		if flags &= flagMore | flagCommand; flags == flagMore|flagCommand {
			flags = 0
		}
		a, b := &cipher{sendPrefix: "CurveZMQMESSAGEC"}, &cipher{recvPrefix: "CurveZMQMESSAGEC"}
		sealed := a.sealFrame(nil, flags, body)
		h, err := parseHeader(sealed)
		if err != nil || h.len+int(h.size) != len(sealed) || len(sealed) != frameSize(len(body)+sealOverhead) {
			t.Fatalf("%d bytes are sealed in a frame of %+v: %v", len(body), h, err)
		}
		inner := sealed[h.len:]
		if change != 0 {
			bad := slices.Clone(inner)
			bad[int(at)%len(bad)] ^= change
			if _, _, err := b.open(nil, bad); err == nil && int(at)%len(bad) >= len(messageName) {
				t.Fatal("a forged message was opened")
			}
		}
		b.recvNonce = 0
		gotFlags, got, err := b.open(nil, inner)
		if err != nil || gotFlags != flags || !bytes.Equal(got, body) {
			t.Fatalf("%x %q, %v", gotFlags, got, err)
		}
		if _, _, err := b.open(nil, inner); err == nil {
			t.Fatal("a message was opened twice")
		}
	})
}

func FuzzCurveHandshake(f *testing.F) {
	f.Add([]byte("\x01\x00"), []byte("x"))
	f.Add(make([]byte, helloSize), make([]byte, 400))
	f.Fuzz(func(t *testing.T, hello, initiate []byte) {
		_, secret := NewKeyPair()
		p := testPeer(t, PULL, Options{})
		h := &handshake{p: p, accepted: true}
		m := CurveServer{SecretKey: secret}.start(h)
		if _, err := m.take("HELLO", hello); err == nil {
			t.Fatal("a HELLO without the server's key was taken")
		}
		m = CurveServer{SecretKey: secret}.start(h)
		m.(*curveServer).state = 1
		if _, err := m.take("INITIATE", initiate); err == nil {
			t.Fatal("an INITIATE without a cookie was taken")
		}
		c := CurveClient{ServerKey: Key{1}}.start(h)
		if _, err := c.take("WELCOME", hello); err == nil {
			t.Fatal("a WELCOME without the client's key was taken")
		}
	})
}

// The trie agrees with a list of topics.
func FuzzTrie(f *testing.F) {
	f.Add([]byte("\x01a\x01ab\x01abc\x00ab\x01b\x00a"), []byte("abcd"))
	f.Add([]byte("\x01\x01\x00\x00"), []byte(""))
	f.Fuzz(func(t *testing.T, script, topic []byte) {
		var tr trie
		model := map[string]int{}
		for len(script) > 0 {
			on := script[0]&1 == 1
			n := min(int(script[0]>>1)&7, len(script)-1)
			name := script[1 : 1+n]
			script = script[1+n:]
			if on {
				model[string(name)]++
				at := tr.node(name)
				at.subs = append(at.subs, nil)
			} else if at := tr.find(string(name)); at != nil {
				if !at.remove(nil) {
					t.Fatal("a node without subscribers was found")
				}
				tr.prune(at)
				if model[string(name)]--; model[string(name)] == 0 {
					delete(model, string(name))
				}
			} else if model[string(name)] > 0 {
				t.Fatalf("%q was not found", name)
			}
		}
		got := map[string]int{}
		tr.each(func(topic []byte) { got[string(topic)] = len(tr.find(string(topic)).subs) })
		if fmt.Sprint(got) != fmt.Sprint(model) {
			t.Fatalf("%v, want %v", got, model)
		}
		matches := 0
		tr.match(topic, func(n *node) {
			if !bytes.HasPrefix(topic, n.topic()) {
				t.Fatalf("%q matches %q", topic, n.topic())
			}
			matches++
		})
		want := 0
		for name := range model {
			if bytes.HasPrefix(topic, []byte(name)) {
				want++
			}
		}
		if matches != want {
			t.Fatalf("%d topics match %q, want %d", matches, topic, want)
		}
		count := 0
		var walk func(n *node)
		walk = func(n *node) {
			count++
			for _, c := range n.children {
				if c.parent != n || len(c.subs) == 0 && len(c.children) < 2 {
					t.Fatal("a node that nobody needs is left")
				}
				walk(c)
			}
		}
		walk(&tr.root)
	})
}

func TestKeysInZ85(t *testing.T) {
	// RFC 32's own example is half a key.
	k, err := ParseKey("HelloWorld" + "HelloWorld" + "HelloWorld" + "HelloWorld")
	if err != nil || !bytes.Equal(k[:8], []byte{0x86, 0x4f, 0xd2, 0x6f, 0xb5, 0x59, 0xf7, 0x5b}) {
		t.Fatalf("%x, %v", k[:], err)
	}
	if k.String() != "HelloWorldHelloWorldHelloWorldHelloWorld" {
		t.Error(k)
	}
	for _, bad := range []string{"", "HelloWorld", "~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~", "########################################"} {
		if _, err := ParseKey(bad); err == nil {
			t.Errorf("%q is a key", bad)
		}
	}
	public, secret := NewKeyPair()
	if p, err := secret.Public(); err != nil || p != public {
		t.Error(p, err)
	}
}
