package frame

import (
	"encoding/binary"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// python is the other end of each format, written from its definition: it sends every message, shuts down its writing
// side, and checks that what comes back is the same messages. argv: port, format.
const python = `
import socket, struct, sys
port, form = int(sys.argv[1]), sys.argv[2]
messages = [b"hello", b"", b"x" * 300, bytes(range(32, 127)) * 20, b"last"]

def varint(n):
    out = b""
    while n >= 0x80:
        out, n = out + bytes([n & 0x7f | 0x80]), n >> 7
    return out + bytes([n])

def unvarint(f):
    n = shift = 0
    while True:
        b = f.read(1)[0]
        n, shift = n | (b & 0x7f) << shift, shift + 7
        if b < 0x80:
            return n

def untilcolon(f):
    digits = b""
    while not digits.endswith(b":"):
        digits += f.read(1)
    return int(digits[:-1])

def packed(code):
    size = struct.calcsize(code)
    return (lambda m: struct.pack(code, len(m)) + m,
            lambda f: f.read(struct.unpack(code, f.read(size))[0]))

frame, unframe = {
    "lines":     (lambda m: m + b"\n", lambda f: f.readline().removesuffix(b"\n")),
    "crlf":      (lambda m: m + b"\r\n", lambda f: f.readline().removesuffix(b"\r\n")),
    "u8":        packed("B"),
    "u16be":     packed(">H"),
    "u32be":     packed("!I"),
    "u32le":     packed("<I"),
    "u64le":     packed("<Q"),
    "u32itself": (lambda m: struct.pack("!I", len(m) + 4) + m,
                  lambda f: f.read(struct.unpack("!I", f.read(4))[0] - 4)),
    "decimal":   (lambda m: b"%05d" % len(m) + m, lambda f: f.read(int(f.read(5)))),
    "varint":    (lambda m: varint(len(m)) + m, lambda f: f.read(unvarint(f))),
    "netstring": (lambda m: b"%d:%s," % (len(m), m), lambda f: (f.read(untilcolon(f)), f.read(1))[0]),
}[form]
if form == "u8":
    messages = [m[:255] for m in messages]

with socket.create_connection(("127.0.0.1", port)) as s, s.makefile("rb") as f:
    s.sendall(b"".join(map(frame, messages)))
    s.shutdown(socket.SHUT_WR)
    for want in messages:
        got = unframe(f)
        assert got == want, (form, got, want)
    assert f.read() == b""
`

func TestPythonFramesTheSameWay(t *testing.T) {
	path, err := exec.LookPath("python3")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("python3 is the peer of this test: ", err)
		}
		t.Skip("python3 is the peer of this test: ", err)
	}
	for name, f := range map[string]Format{
		"lines":     Lines(0),
		"crlf":      LinesCRLF(0),
		"u8":        LengthPrefix(1, nil, 0),
		"u16be":     LengthPrefix(2, binary.BigEndian, 0),
		"u32be":     LengthPrefix(4, nil, 0),
		"u32le":     LengthPrefix(4, binary.LittleEndian, 0),
		"u64le":     LengthPrefix(8, binary.LittleEndian, 0),
		"u32itself": LengthPrefix(4, binary.BigEndian, 0).CountingItself(),
		"decimal":   Decimal(5, 0),
		"varint":    Varint(0),
		"netstring": Netstring(0),
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			l.SetDeadline(time.Now().Add(20 * time.Second))
			echoed := make(chan error, 1)
			go func() { echoed <- echoOne(l, f) }()
			_, port, _ := strings.Cut(l.Addr().String(), ":")
			if out, err := exec.Command(path, "-c", python, port, name).CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
			if err := <-echoed; err != nil {
				t.Error(err)
			}
		})
	}
}

// echoOne takes one connection, and sends back each message framed anew.
func echoOne(l net.Listener, f Format) error {
	c, err := l.Accept()
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	var reply []byte
	s := NewScanner(c, f)
	for s.Scan() {
		if reply, err = f.Append(reply[:0], s.Bytes()); err != nil {
			return err
		}
		if _, err = c.Write(reply); err != nil {
			return err
		}
	}
	return s.Err()
}
