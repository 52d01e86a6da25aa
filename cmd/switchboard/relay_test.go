//go:build unix

package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"testing"
)

func TestRelayPassesBytesToAllOthersInOneOrder(t *testing.T) {
	for _, engine := range engines()[1:] {
		t.Run(engine, func(t *testing.T) {
			s := serve(t, "relay", "--engine", engine, "--member-queue=1M")
			speaker, silent := client(t, s), client(t, s)
			other := startNetcat(t, s.addrs[0])
			s.await("connected", 3)
			hear(t, speaker, silent, "x\n") // who is heard is there
			other.says("y")
			hear(t, speaker, nil, "y\n")
			hear(t, silent, nil, "y\n")
			text := bytes.Repeat([]byte("a line of the relay's test\n"), 10_000)
			go speaker.Write(text)
			got := make([]byte, len(text))
			if _, err := io.ReadFull(silent, got); err != nil || !bytes.Equal(got, text) {
				t.Errorf("%v, or the bytes are others", err)
			}
			until(t, "nc has heard all", func() bool { return strings.HasSuffix(other.heard(), string(text)) })
			fmt.Fprintln(silent, "answer") // the speaker has heard nothing of its own before it
			if _, err := io.ReadFull(speaker, got[:7]); err != nil || string(got[:7]) != "answer\n" {
				t.Errorf("the speaker heard %q, %v", got[:7], err)
			}
		})
	}
}

// hear has one say something, if it is not nil, and another hear it.
func hear(t *testing.T, c, from net.Conn, text string) {
	t.Helper()
	if from != nil {
		io.WriteString(from, text)
	}
	got := make([]byte, len(text))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != text {
		t.Fatalf("heard %q, %v; want %q", got, err, text)
	}
}

func TestRelayTellsOfLinesThatAreMissed(t *testing.T) {
	s := serve(t, "relay", "--lines", "--member-queue=4k", "--admin=127.0.0.1:0") // and lines are no longer than that
	speaker, slow := client(t, s), client(t, s)
	s.await("connected", 2)
	hear(t, speaker, slow, "x\n")
	line := strings.Repeat("x", 999)
	const lines = 20_000 // more than the kernel holds
	for i := range lines {
		fmt.Fprintf(speaker, "%06d %s\n", i, line)
	}
	fmt.Fprintln(speaker, "end")
	got, missed := 0, 0
	var text bytes.Buffer
	buf := make([]byte, 1<<16)
	for !bytes.HasSuffix(text.Bytes(), []byte("\nend\n")) {
		n, err := slow.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		text.Write(buf[:n])
	}
	last := -1
	for l := range strings.Lines(text.String()) {
		var n int
		if _, err := fmt.Sscanf(l, "* %d lines missed\n", &n); err == nil {
			missed += n
		} else if _, err := fmt.Sscanf(l, "%06d x", &n); err == nil && n > last && len(l) == 7+len(line)+1 {
			got++
			last = n
		} else if l != "end\n" {
			t.Fatalf("%q after %d", l, last)
		}
	}
	if got+missed != lines {
		t.Errorf("%d came and %d were missed, of %d", got, missed, lines)
	}
	if missed == 0 {
		t.Error("nothing was missed")
	}
	_, figures := get(t, adminURL(s)+"/metrics")
	for _, want := range []string{"switchboard_rooms 1", "switchboard_room_members 2", fmt.Sprint("switchboard_room_dropped_total ", missed)} {
		if !strings.Contains(figures, "\n"+want+"\n") {
			t.Errorf("the figures are without %q:\n%s", want, figures)
		}
	}
}

func TestRelayHangsUpOnWhoReadsTooSlowly(t *testing.T) {
	s := serve(t, "relay", "--slow=disconnect")
	speaker, stuck, reader := client(t, s), client(t, s), client(t, s)
	s.await("connected", 3)
	hear(t, speaker, stuck, "x")
	io.WriteString(reader, "y")
	hear(t, speaker, nil, "y")
	piece := make([]byte, 4<<10)
	for len(s.entries("disconnected")) == 0 { // no faster than the reader reads
		if _, err := speaker.Write(piece); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(reader, piece); err != nil {
			t.Fatal(err)
		}
	}
	if e := s.entries("disconnected")[0]; e["peer"] != stuck.LocalAddr().String() || e["dropped"] != 0.0 {
		t.Errorf("%v was disconnected, and the one that is stuck is %v", e, stuck.LocalAddr())
	}
}

func TestRelayOfWebSockets(t *testing.T) {
	s := serve(t, "relay", "--listen=ws://127.0.0.1:0")
	url := s.addrs[0]
	cmd := exec.Command(installed(t, "/usr/bin/python3"), "-c", `
import asyncio, sys, websockets
async def main(url):
    async with websockets.connect(url) as a, websockets.connect(url) as b, websockets.connect(url, compression=None) as c:
        for m in ["text", b"\x00bytes", "x" * 5000, ""]:
            await a.send(m)
            for other in b, c:
                got = await asyncio.wait_for(other.recv(), 60)
                assert got == m, (m, got)
            if m: continue
        await b.send("back")
        assert await asyncio.wait_for(a.recv(), 60) == "back"
asyncio.run(main(sys.argv[1]))
print("ok")
`, url)
	out, err := cmd.CombinedOutput()
	if err != nil || string(out) != "ok\n" {
		t.Errorf("%v: %s", err, out)
	}
}

func TestRelayRefusesWhatMakesNoSense(t *testing.T) {
	for args, want := range map[string]string{
		"--slow never":                      "unknown --slow",
		"--lines --listen ws://127.0.0.1:0": "--lines is for clients that do not speak WebSocket",
		"--max-line 10":                     "--max-line needs --lines",
		"--member-queue 10":                 "--member-queue 10: 1k to",
		"--lines --max-line 65k":            "at most --member-queue",
		"--lines --max-line 1M --member-queue 1M --input-limit 2M": "less than --input-limit and --queue-limit",
		"--listen ws://:0 --ws-message 1M":                         "--ws-message 1M: at most --member-queue, 64k",
		"--mode goroutines":                                        "is served in the mode loop",
	} {
		if _, complaint, code := once(t, "", append([]string{"serve", "relay"}, strings.Fields(args)...)...); code != 2 || !strings.Contains(complaint, want) {
			t.Errorf("%s: exit code %d, %s", args, code, complaint)
		}
	}
}
