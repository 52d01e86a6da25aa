package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

func TestLinesServesProgramsThatNobodyHereWrote(t *testing.T) {
	s := serve(t, "lines", "--max-line=100", "--high-water=4k")
	host, port, _ := net.SplitHostPort(s.addrs[0])
	var said, want bytes.Buffer
	lines := 20_000
	if testing.Short() {
		lines = 2_000
	}
	for i := range lines { // requests that wait for no replies
		fmt.Fprintf(&said, "this is line %d\r\n", i)
		fmt.Fprintf(&want, "THIS IS LINE %d\n", i)
	}
	said.WriteString("and the last one has no end")
	want.WriteString("AND THE LAST ONE HAS NO END\n")
	for name, heard := range map[string][]byte{
		"nc":     peer(t, said.Bytes(), "nc", "-N", host, port),
		"socat":  peer(t, said.Bytes(), "socat", "-t30", "-", "TCP4:"+s.addrs[0]),
		"Python": peer(t, said.Bytes(), "python3", "testdata/line_client.py", host, port),
	} {
		if !bytes.Equal(heard, want.Bytes()) {
			t.Errorf("%s: %d bytes came back, want %d", name, len(heard), want.Len())
		}
	}
}

func TestALineThatIsTooLongIsTheLast(t *testing.T) {
	s := serve(t, "lines", "--max-line=100")
	host, port, _ := net.SplitHostPort(s.addrs[0])
	for _, long := range []string{strings.Repeat("x", 101) + "\n", strings.Repeat("x", 1_000_000)} {
		got := string(peer(t, []byte("short\n"+long+"never answered\n"), "nc", "-N", host, port))
		if got != "SHORT\nerror: a line of more than 100 bytes\n" {
			t.Errorf("got %q", got)
		}
	}
	if reason := fmt.Sprint(s.await("disconnected", 2)["reason"]); !strings.Contains(reason, "message too long") {
		t.Errorf("reason %s", reason)
	}
}

// A client that only asks is not read from any further when its answers fill its queue, and gets all of them in the end.
func TestAClientThatReadsNoAnswersIsBounded(t *testing.T) {
	s := serve(t, "lines")
	conn := client(t, s)
	before := resident(t, s)
	line := []byte(strings.Repeat("x", 99) + "\n")
	said := bytes.Repeat(line, 640_000) // more than all the buffers between the two can hold
	taken := 0
	for taken < len(said) {
		conn.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
		n, err := conn.Write(said[taken:])
		taken += n
		if err != nil {
			break
		}
	}
	if taken == len(said) {
		t.Fatalf("the server took %d bytes and nobody reads its answers", taken)
	}
	spinsNot(t, s)
	if now := resident(t, s); now > before+32<<20 {
		t.Errorf("grown from %d MB to %d MB", before>>20, now>>20)
	}
	conn.SetDeadline(time.Now().Add(patience))
	conn.CloseWrite()
	want := bytes.ToUpper(said[:taken])
	if taken%len(line) != 0 {
		want = append(want, '\n')
	}
	if heard, err := io.ReadAll(conn); err != nil || !bytes.Equal(heard, want) {
		t.Errorf("%d bytes came back of %d, %v", len(heard), len(want), err)
	}
}
