package socket

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

func TestMessageIsGatheredAndScattered(t *testing.T) {
	x, xa := boundDatagram(t, AF_INET6)
	y, ya := boundDatagram(t, AF_INET6)
	n, err := x.SendMsg([][]byte{[]byte("one, "), nil, []byte("two")}, nil, ya, 0)
	if n != 8 || err != nil {
		t.Fatal(n, err)
	}
	p, q := make([]byte, 3), make([]byte, 10)
	n, m, err := y.RecvMsg([][]byte{p, q}, 0, 0)
	if n != 8 || err != nil || string(p)+string(q[:5]) != "one, two" || m.Addr != xa || m.Flags&MSG_TRUNC != 0 {
		t.Errorf("%d, %q %q, %+v, %v", n, p, q, m, err)
	}
	x.SendMsg([][]byte{[]byte("too long")}, nil, ya, 0)
	n, m, err = y.RecvMsg([][]byte{p}, 0, 0)
	if n != 3 || err != nil || m.Flags&MSG_TRUNC == 0 {
		t.Errorf("%d, %+v, %v", n, m, err)
	}
}

func TestControlDataArrives(t *testing.T) {
	needRights(t)
	x, y := unixPair(t, SOCK_STREAM)
	r, w, err := os.Pipe()
	noError(t, err)
	defer r.Close()
	fd := binary.NativeEndian.AppendUint32(nil, uint32(w.Fd()))
	_, err = x.SendMsg([][]byte{[]byte("x")}, []Control{{SOL_SOCKET, SCM_RIGHTS, fd}}, Addr{}, 0)
	noError(t, err)
	w.Close()
	p := make([]byte, 10)
	n, m, err := y.RecvMsg([][]byte{p}, ControlSpace(4), 0)
	if n != 1 || err != nil || len(m.Control) != 1 || m.Control[0].Level != SOL_SOCKET ||
		m.Control[0].Type != SCM_RIGHTS || len(m.Control[0].Data) != 4 {
		t.Fatalf("%d, %+v, %v", n, m, err)
	}
	got := int(binary.NativeEndian.Uint32(m.Control[0].Data))
	if on, err := sysInheritable(got); on || err != nil {
		t.Error("a received descriptor is inherited:", err)
	}
	f := os.NewFile(uintptr(got), "pipe")
	f.Write([]byte("through"))
	f.Close()
	if text, err := io.ReadAll(r); string(text) != "through" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
}

func TestDescriptorsTravel(t *testing.T) {
	needRights(t)
	for _, typ := range []int{SOCK_STREAM, SOCK_DGRAM} {
		x, y := unixPair(t, typ)
		a, b := tcpPair(t)
		if n, err := x.SendFDs([]byte("two"), a.FD(), b.FD()); n != 3 || err != nil {
			t.Fatal(n, err)
		}
		a.Close()
		b.Close()
		p := make([]byte, 10)
		n, fds, err := y.RecvFDs(p, 2)
		if err != nil || string(p[:n]) != "two" || len(fds) != 2 {
			t.Fatalf("%q, %v, %v", p[:n], fds, err)
		}
		c, err := FromFD(fds[0])
		noError(t, err)
		d, err := FromFD(fds[1])
		noError(t, err)
		c.SendAll([]byte("hello"))
		if n, err := d.Recv(p); err != nil || string(p[:n]) != "hello" {
			t.Errorf("%q, %v", p[:n], err)
		}
		c.Close()
		d.Close()
	}
}

func TestLostDescriptorsAreAnErrorAndNoLeak(t *testing.T) {
	needRights(t)
	x, y := unixPair(t, SOCK_STREAM)
	f, err := os.Open(os.DevNull)
	noError(t, err)
	defer f.Close()
	fd := int(f.Fd())
	before := len(openFiles())
	p := make([]byte, 10)
	for _, limit := range []int{0, 1, 2, 3} {
		x.SendFDs([]byte("data"), fd, fd, fd, fd)
		n, fds, err := y.RecvFDs(p, limit)
		if !errors.Is(err, syscall.EMSGSIZE) || !strings.Contains(err.Error(), "closed") {
			t.Errorf("at most %d: %v, %v", limit, fds, err)
		}
		if string(p[:n]) != "data" || fds != nil {
			t.Errorf("at most %d: %q, %v", limit, p[:n], fds)
		}
	}
	if after := len(openFiles()); after != before {
		t.Error(after-before, "descriptors leaked")
	}
	x.SendFDs([]byte("data"), fd)
	n, fds, err := y.RecvFDs(p, 100)
	if n != 4 || len(fds) != 1 || err != nil {
		t.Fatal(n, fds, err)
	}
	sysClose(fds[0])
	x.Send([]byte("none"))
	if n, fds, err := y.RecvFDs(p, 1); n != 4 || fds != nil || err != nil {
		t.Error(n, fds, err)
	}
	x.Close()
	if _, _, err := y.RecvFDs(p, 1); err != io.EOF {
		t.Error(err)
	}
}

func TestUnixDatagramsHaveSenders(t *testing.T) {
	dir := t.TempDir()
	x, y := made(t, AF_UNIX, SOCK_DGRAM), made(t, AF_UNIX, SOCK_DGRAM)
	noError(t, x.Bind(UnixAddr(dir+"/x")))
	noError(t, y.Bind(UnixAddr(dir+"/y")))
	p := make([]byte, 10)
	if _, err := x.SendTo([]byte("named"), UnixAddr(dir+"/y")); err != nil {
		t.Fatal(err)
	}
	if n, from, err := y.RecvFrom(p); string(p[:n]) != "named" || from != UnixAddr(dir+"/x") || err != nil {
		t.Errorf("%q from %v, %v", p[:n], from, err)
	}
	made(t, AF_UNIX, SOCK_DGRAM).SendTo([]byte("unnamed"), UnixAddr(dir+"/y"))
	if n, from, err := y.RecvFrom(p); string(p[:n]) != "unnamed" || from.Path() != "" || err != nil {
		t.Errorf("%q from %v, %v", p[:n], from, err)
	}
}

func TestSendFile(t *testing.T) {
	text := strings.Repeat("0123456789", 200_000)
	path := t.TempDir() + "/file"
	noError(t, os.WriteFile(path, []byte(text), 0o600))
	f, err := os.Open(path)
	noError(t, err)
	defer f.Close()
	for _, c := range []struct {
		offset, count int64
		want          string
	}{
		{0, -1, text},
		{5, -1, text[5:]},
		{5, 10, text[5:15]},
		{0, 0, ""},
		{int64(len(text)) - 3, 100, text[len(text)-3:]},
		{int64(len(text)) + 3, -1, ""},
	} {
		for name, pair := range map[string]func(testing.TB) (x, y *Socket){
			"tcp":  tcpPair,
			"unix": func(t testing.TB) (x, y *Socket) { return unixPair(t, SOCK_STREAM) },
		} {
			x, y := pair(t)
			var n int64
			sent := in(func() (err error) {
				n, err = x.SendFile(f, c.offset, c.count)
				x.Shutdown(SHUT_WR)
				return err
			})
			got, err := io.ReadAll(y)
			noError(t, err)
			noError(t, <-sent)
			if string(got) != c.want || n != int64(len(c.want)) {
				t.Errorf("%s, %d bytes from %d: %d came, %d of them sent", name, c.count, c.offset, len(got), n)
			}
		}
	}
	if at, err := f.Seek(0, io.SeekCurrent); at != 0 || err != nil {
		t.Error("the file's position moved:", at, err)
	}
}

func TestSendFileStopsWhereTheSocketDoes(t *testing.T) {
	path := t.TempDir() + "/file"
	noError(t, os.WriteFile(path, nil, 0o600))
	noError(t, os.Truncate(path, 64<<20))
	f, err := os.Open(path)
	noError(t, err)
	defer f.Close()
	x, y := tcpPair(t)
	x.SetBlocking(false)
	n, err := x.SendFile(f, 0, -1)
	if !errors.Is(err, ErrWouldBlock) || n <= 0 || n >= 64<<20 {
		t.Fatal(n, err)
	}
	if got, err := y.RecvFlags(make([]byte, n), MSG_WAITALL); int64(got) != n || err != nil {
		t.Fatal(got, err)
	}
	x.SetBlocking(true)
	sent := in(func() error { _, err := x.SendFile(f, 0, -1); return err })
	waitParked(t, "SendFile", 1)
	y.SetLinger(0)
	y.Close()
	if err := <-sent; !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
		t.Error(err)
	}
}

func TestSendFileWantsAFileAndAStream(t *testing.T) {
	x, _ := tcpPair(t)
	dir, err := os.Open(t.TempDir())
	noError(t, err)
	defer dir.Close()
	if n, err := x.SendFile(dir, 0, -1); n != 0 || err == nil || runtime.GOOS != "windows" && !errors.Is(err, syscall.EISDIR) {
		t.Error("a directory:", n, err)
	}
	if _, err := x.SendFile(dir, -1, -1); !errors.Is(err, syscall.EINVAL) {
		t.Error("a negative offset:", err)
	}
	d, _ := boundDatagram(t, AF_INET)
	if _, err := d.SendFile(dir, 0, -1); !errors.Is(err, syscall.EINVAL) {
		t.Error("a datagram socket:", err)
	}
	dir.Close()
	if _, err := x.SendFile(dir, 0, -1); !errors.Is(err, os.ErrClosed) {
		t.Error("a closed file:", err)
	}
}

func TestDescriptorsTravelWithFlagsAndAddress(t *testing.T) {
	dir := t.TempDir()
	x, y := made(t, AF_UNIX, SOCK_DGRAM), made(t, AF_UNIX, SOCK_DGRAM)
	noError(t, x.Bind(UnixAddr(dir+"/x")))
	noError(t, y.Bind(UnixAddr(dir+"/y")))
	f, err := os.Open(os.DevNull)
	noError(t, err)
	defer f.Close()
	if n, err := x.SendFDsTo([]byte("to an address"), []int{int(f.Fd())}, UnixAddr(dir+"/y"), MSG_DONTWAIT); n != 13 || err != nil {
		t.Fatal(n, err)
	}
	p := make([]byte, 5)
	for _, flags := range []int{MSG_PEEK, 0} {
		n, fds, m, err := y.RecvFDsFrom(p, 1, flags)
		if string(p[:n]) != "to an" || len(fds) != 1 || m.Addr != UnixAddr(dir+"/x") || m.Flags&MSG_TRUNC == 0 || err != nil {
			t.Fatalf("%q, %v, %+v, %v", p[:n], fds, m, err)
		}
		os.NewFile(uintptr(fds[0]), "passed").Close()
	}
	if _, _, _, err := y.RecvFDsFrom(p, 1, MSG_DONTWAIT); !errors.Is(err, ErrWouldBlock) {
		t.Error(err)
	}
	if _, err := x.SendFDsTo([]byte("x"), nil, parsed(t, "127.0.0.1:7"), 0); !errors.Is(err, syscall.EAFNOSUPPORT) {
		t.Error(err)
	}
	_, err = x.SendFDsTo([]byte("x"), nil, UnixAddr(dir+"/nobody"), 0)
	if !errors.Is(err, syscall.ENOENT) || !strings.HasPrefix(err.Error(), "send descriptors "+dir+"/nobody: ") {
		t.Error(err)
	}
}

func TestMessageFlagsAreThoseOfTheMessage(t *testing.T) {
	x, y := unixPair(t, SOCK_DGRAM)
	x.Send([]byte("x"))
	x.Send([]byte("longer"))
	for _, want := range []int{0, MSG_TRUNC} {
		if _, m, err := y.RecvMsg([][]byte{make([]byte, 1)}, 0, 0); m.Flags != want || err != nil {
			t.Errorf("%#x, want %#x, %v", m.Flags, want, err)
		}
	}
}
