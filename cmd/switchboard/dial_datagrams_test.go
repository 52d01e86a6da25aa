package main

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

func TestInputLongerThanADatagramIsSplit(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "::1"} {
		in, err := net.ListenPacket("udp", net.JoinHostPort(host, "0"))
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		in.(*net.UDPConn).SetReadBuffer(1 << 20)
		in.SetDeadline(time.Now().Add(patience))
		said := string(noise(3, 150_000))
		got := make(chan []byte, 1)
		go func() {
			var all []byte
			for buf := make([]byte, 1<<16); len(all) < len(said); {
				n, from, err := in.ReadFrom(buf)
				if err != nil {
					break
				}
				all = append(all, buf[:n]...)
				in.WriteTo([]byte("."), from)
			}
			got <- all
		}()
		// A file is read as fast as it goes; the largest datagrams fit a receive buffer one at a time.
		out, complaint, code := once(t, said, "dial", "-w", "2", "udp://"+in.LocalAddr().String())
		in.SetDeadline(time.Now())
		all := <-got
		if code != 0 || strings.Trim(out, ".") != "" || !strings.HasPrefix(said, string(all[:min(len(all), 60_000)])) || len(all) < 60_000 {
			t.Errorf("%s: %d bytes, exit code %d, %q %s", host, len(all), code, out, complaint)
		}
	}
}

func TestListenTakesDatagrams(t *testing.T) {
	const others = "not for you"
	for _, keep := range []bool{false, true} {
		args := []string{"listen", "--udp", "-v", "-w", "1", "127.0.0.1:0"}
		if keep {
			args = append(args, "--keep")
		}
		w := listens(t, strings.NewReader("hello from us"), args...)
		conn, err := net.Dial("udp", w.at)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(patience))
		largest := noise(4, 65_507)
		conn.Write(largest)
		buf := make([]byte, 1<<16)
		if n, err := conn.Read(buf); string(buf[:n]) != "hello from us" {
			t.Errorf("%q, %v", buf[:n], err)
		}
		another, err := net.Dial("udp", w.at)
		if err != nil {
			t.Fatal(err)
		}
		defer another.Close()
		io.WriteString(another, others)
		conn.Write(nil) // has no bytes, and is not the end
		conn.Write([]byte("!"))
		out, log, code := w.wait()
		want := string(largest) + "!"
		if keep {
			want = string(largest) + others + "!"
		}
		if out != want || code != 0 || !strings.Contains(log, "datagrams from "+conn.LocalAddr().String()) {
			t.Errorf("keep %v: %d bytes, wanted %d; exit code %d, %s", keep, len(out), len(want), code, log)
		}
	}
	w := listens(t, nil, "listen", "udp://127.0.0.1:0", "-w", "5")
	host, port := split(t, w.at)
	peer(t, []byte("from netcat"), "nc", "-u", "-w1", host, port)
	if out, log, code := w.wait(); out != "from netcat" || code != 0 {
		t.Errorf("%q, exit code %d, %s", out, code, log)
	}
	if _, complaint, code := once(t, "", "listen", "-u", "-w", "0.1", "127.0.0.1:0"); code != exitTimeout {
		t.Errorf("nobody wrote: exit code %d, %s", code, complaint)
	}
}
