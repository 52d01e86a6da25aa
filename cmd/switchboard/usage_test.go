package main

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

func TestWrongCallsAreExplainedInOneLine(t *testing.T) {
	for _, call := range []struct{ args, want string }{
		{"frobnicate", `there is no "frobnicate"`},
		{"help frobnicate", `there is no "frobnicate"`},
		{"help serve ecko", `did you mean "echo"?`},
		{"help version now", `takes no arguments, but got "now"`},
		{"sevre", `did you mean "serve"?`},
		{"--frobnicate", "unknown flag: --frobnicate (see switchboard --help)"},
		{"serve", "which service? There are chargen, chat, daytime, discard, echo, lines, proxy, relay, time, web, zmq-forwarder, zmq-queue, zmq-streamer (see switchboard serve --help)"},
		{"serve ecko", `did you mean "echo"?`},
		{"serve echo more", `takes no arguments, but got "more"`},
		{"serve echo --moed select", "unknown flag: --moed (see switchboard serve echo --help)"},
		{"serve echo --mode slect", `unknown mode "slect"`},
		{"serve echo --log yaml", `unknown --log "yaml"`},
		{"serve echo --max-conns -1", "cannot be negative"},
		{"serve echo --max-conns many", "--max-conns"},
		{"serve echo --grace -1s", "cannot be negative"},
		{"serve echo --listen 7007", "try 127.0.0.1:7007"},
		{"serve echo --mode poll --loops 2", "--loops is for the mode loop, and poll has no such thing"},
		{"serve echo --mode goroutines --read-buffer 64k", "--read-buffer is for the mode loop"},
		{"serve lines --mode goroutines", "lines is served in the mode loop, and not in goroutines"},
		{"serve proxy --mode poll --to 127.0.0.1:7", "proxy is served in the mode loop, and not in poll"},
		{"serve proxy", "Give --to ADDRESS"},
		{"serve proxy --to 7", "--to: address"},
		{"serve proxy --to fd://3", "no open descriptor"},
		{"serve proxy --to :7", "try 127.0.0.1:7"},
		{"serve proxy --to 127.0.0.1:7 --balance none", "there are round-robin, least-conn"},
		{"serve proxy --to 127.0.0.1:7 --connect-timeout 0", "more than 0"},
		{"serve echo --engine steam", `unknown --engine "steam": there are auto, `},
		{"serve echo --loops -1", "--loops -1"},
		{"serve echo --quiet --verbose", "exclude each other"},
		{"serve echo --read-buffer 64q", "try 4096, 64k or 1M"},
		{"serve echo --read-buffer 0", "try 4096, 64k or 1M"},
		{"serve echo --low-water 64k", "--low-water 64k: it must be less than --high-water, 64k"},
		{"serve echo --queue-limit 100k", "--queue-limit 100k: it must hold at least --high-water, 64k, and --read-buffer, 64k"},
		{"serve echo --queue-limit 2G", "try 4096"},
		{"serve echo --write-timeout -1s", "cannot be negative"},
		{"serve lines --max-line 1M", "--max-line 1M: --input-limit, 1M, must hold one"},
		{"serve echo --listen udp://127.0.0.1:7", "listen --udp"},
		{"serve echo --grace -1s", "--grace"},
		{"serve web --root . --answer-timeout=-5", "cannot be negative"},
		{"bench --duration -1s 127.0.0.1:7", "cannot be negative"},
		{"dial -w -1 127.0.0.1:7", "cannot be negative"},
		{"serve relay --queue-limit 1M --member-queue 2M", "--member-queue 2M: 1k to --queue-limit, 1M"},
		{"serve relay --listen ws://127.0.0.1:0 --queue-limit 150k --ws-message 100k --member-queue 100k", "--queue-limit 150k: it must hold --high-water and a message"},
		{"serve chat --high-water 4k --read-buffer 2k --queue-limit 8k", "--queue-limit 8k: it must hold --high-water and a message of 16k, 20k"},
		{"serve chat --nats-name a", "--nats-name needs --nats"},
		{"serve chat --nats nats://127.0.0.1 --nats-name a@b", "printable ASCII without spaces and @"},
		{"serve chat --nats-history", "--nats-history needs --nats"},
		{"serve chat --nats nats://127.0.0.1 --nats-history --history-file x", "the messages are kept in one place only"},
		{"serve chat --nats nats://127.0.0.1 --nats-replicas 3", "--nats-replicas needs --nats-history"},
		{"serve chat --nats nats://127.0.0.1 --nats-history --nats-replicas 6", "--nats-replicas 6: 1 to 5"},
		{"serve web --root . --listen ws://127.0.0.1:0", "web does not speak WebSocket at --listen ws://127.0.0.1:0"},
		{"serve zmq-queue --listen ws://127.0.0.1:0", "zmq-queue does not speak WebSocket"},
		{"serve proxy --to tls://example.org", `address "tls://example.org": the port is missing (try tls://example.org:7007)`},
		{"dial tls://127.0.0.1", `address "tls://127.0.0.1": the port is missing (try tls://127.0.0.1:7007)`},
		{"dial zmq+sub://127.0.0.1", `address "zmq+sub://127.0.0.1": the port is missing (try zmq+sub://127.0.0.1:7007)`},
		{"dial zmq+foo://127.0.0.1:7", `unknown type "foo"`},
		{"dial zmq+sub://127.0.0.1:7?foo=1", `sub has no "foo" in its query`},
		{"listen -4 ::1 7", "--ipv4 allows"},
		{"bench -c -1 127.0.0.1:7", "--conns -1"},
		{"bench -s 0 127.0.0.1:7", `--size "0"`},
		{"bench -s 4k-16 127.0.0.1:7", "--size 4096-16"},
		{"serve echo --allow=", `for "--allow" flag: it is empty`},
		{"serve echo --allow=10.0.0.0/8,", "one of its values is empty"},
		{"serve echo --admin=", "it is empty"},
		{"serve echo --tls-timeout 5", "--tls-timeout needs --tls-cert"},
		{"serve echo --tls-handshakes 5", "--tls-handshakes needs --tls-cert"},
		{"serve echo --listen ws://127.0.0.1:0 --ws-subprotocol a/b", `--ws-subprotocol: "a/b" is not the name of a subprotocol`},
		{"serve echo --listen ws://127.0.0.1:0 --ws-subprotocol a --ws-subprotocol a", `--ws-subprotocol: "a" is there twice`},
		{"serve echo --listen ws://127.0.0.1:0 --ws-origin foo", `--ws-origin: "foo" is not an origin: try https://example.org`},
		{"serve chat --origin https://example.org/", `--origin: "https://example.org/" is not an origin: browsers send no path (try https://example.org)`},
		{"serve web --root . --header Content-Length:5", "Content-Length cannot be set: each answer has its own"},
		{"serve web --root . --header a/b:c", `"a/b" is not the name of a field`},
		{"serve proxy --to ws://127.0.0.1:7 --to-ws-header TE:a", `proxy: --to-ws-header "TE:a": TE cannot be set`},
		{"serve proxy --to ws://127.0.0.1:7 --to-ws-subprotocol a/b", `proxy: --to-ws-subprotocol: "a/b" is not`},
		{"serve proxy --to tls://127.0.0.1:7 --to-tls-server-name a..b", `--to-tls-server-name: "a..b" is not the name of a host`},
		{"serve proxy --to 127.0.0.1:0", "nothing listens on port 0"},
		{"dial ws://127.0.0.1:7 --header content-length:5", "content-length cannot be set: the request for a WebSocket has no body"},
		{"dial ws://127.0.0.1:7 --header Host:", `the Host "" is neither a name`},
		{"dial ws://127.0.0.1:7 --header Host:a --header host:b", "a request has one Host"},
		{"dial ws://127.0.0.1:7 --subprotocol a,b,a", `--subprotocol: "a" is there twice`},
		{"bench ws://127.0.0.1:7 --header Sec-WebSocket-Key:a", "the opening handshake of WebSocket sets it"},
		{"bench ws://127.0.0.1:7 --subprotocol a/b", `--subprotocol: "a/b" is not`},
		{"bench ws:///a", `address "ws:///a": the host is missing`},
		{"bench ws://127.0.0.1:7/#a", "a fragment (#) means nothing here"},
		{"bench http://127.0.0.1:7 --header Transfer-Encoding:chunked", "Transfer-Encoding cannot be set: the body is sent whole"},
		{"bench http://127.0.0.1:7 --header Upgrade:h2c", "nothing but HTTP/1.1 is understood"},
		{"bench --html= 127.0.0.1:7", `for "--html" flag: it is empty`},
		{"dial --frobnicate", "unknown flag: --frobnicate (see switchboard dial --help)"},
		{"version now", "takes no argument"},
	} {
		out, complaint, code := once(t, "", strings.Fields(call.args)...)
		if code != exitUsage || out != "" || strings.Count(complaint, "\n") != 1 || !strings.Contains(complaint, call.want) {
			t.Errorf("%s: exit code %d, %q%q, want %q in one line", call.args, code, out, complaint, call.want)
		}
	}
}

func TestHelpHasExamplesAndExitCodes(t *testing.T) {
	for args, want := range map[string][]string{
		"":                   {"serve", "dial", "version", "completion"},
		"serve --help":       {"Examples:", "--mode", "Exit codes:", "echo", "chargen", "--tls-self-signed"},
		"serve echo --help":  {"--listen", "--grace", "--high-water"},
		"serve proxy --help": {"--to", "--balance", "--connect-timeout", "ulimit -n", "--tls-cert", "--to-tls-ca"},
		"serve lines --help": {"--max-line"},
		"help dial":          {"Examples:", "--hex", "124", "--tls-ca"},
	} {
		out, complaint, code := once(t, "", strings.Fields(args)...)
		for _, w := range want {
			if !strings.Contains(out, w) {
				t.Errorf("%q: no %q in\n%s", args, w, out)
			}
		}
		if code != 0 || complaint != "" {
			t.Errorf("%q: exit code %d, %s", args, code, complaint)
		}
	}
	if help, _, _ := once(t, "", "serve", "--help"); strings.Contains(help, "--worker") {
		t.Error("--worker is for the command itself, and not to be shown")
	}
}

func TestTheShellCompletesServicesModesAndFormats(t *testing.T) {
	for _, m := range modes() {
		if out, _, _ := once(t, "", "__complete", "serve", "echo", "--mode", ""); !strings.Contains(out, m.name+"\t") {
			t.Errorf("no mode %s in\n%s", m.name, out)
		}
	}
	if out, _, _ := once(t, "", "__complete", "serve", "echo", "--engine", ""); !strings.HasPrefix(out, "auto\n") {
		t.Errorf("%s", out)
	}
	if out, _, _ := once(t, "", "__complete", "serve", "proxy", "--balance", ""); !strings.HasPrefix(out, "round-robin\nleast-conn\n") {
		t.Errorf("%s", out)
	}
	if out, _, _ := once(t, "", "__complete", "serve", "cha"); !strings.HasPrefix(out, "chargen\t") {
		t.Errorf("%s", out)
	}
	if out, _, _ := once(t, "", "__complete", "serve", "echo", "--log", ""); !strings.HasPrefix(out, "text\njson\n") {
		t.Errorf("%s", out)
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if out, complaint, code := once(t, "", "completion", shell); code != 0 || !strings.Contains(out, "switchboard") {
			t.Errorf("%s: exit code %d, %s", shell, code, complaint)
		}
	}
	if out, complaint, code := once(t, "", "completion", "tcsh"); code != exitUsage || out != "" || !strings.Contains(complaint, `there is no "tcsh"`) {
		t.Errorf("a shell that is not known: exit code %d, %q%q", code, out, complaint)
	}
}

func TestAFullDiskIsNoWrongCall(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("there is no /dev/full")
	}
	for _, args := range []string{"version", "--version", "completion bash", "--help", "help serve", "bench compare --help", "__complete serve e"} {
		cmd := exec.Command("sh", "-c", `exec "$0" `+args+` >/dev/full`, os.Args[0])
		complaint, _ := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != exitFailed || !strings.Contains(string(complaint), "no space left") || strings.Count(string(complaint), "no space") != 1 ||
			strings.Contains(string(complaint), "see ") {
			t.Errorf("%s: exit code %d, %s", args, code, complaint)
		}
	}
}

func TestHelpKeepsItsColumns(t *testing.T) {
	text := "Modes:\n  processes   " + strings.Repeat("many words ", 10)
	if got, want := wrapText(text), "\n"+strings.Repeat(" ", 14)+"many words"; !strings.Contains(got, want) || !strings.Contains(got, "  processes   many") {
		t.Errorf("%s", got)
	}
}

func TestVersionIsOneLine(t *testing.T) {
	out, _, code := once(t, "", "version")
	if code != 0 || !strings.HasPrefix(out, "switchboard ") || strings.Count(out, "\n") != 1 {
		t.Errorf("exit code %d, %q", code, out)
	}
}

// everyCommand calls f with the words of each command that help shows, and of the hidden one.
func everyCommand(f func(words []string)) {
	var walk func(cmd *cobra.Command, words []string)
	walk = func(cmd *cobra.Command, words []string) {
		f(words)
		for _, c := range cmd.Commands() {
			walk(c, append(words[:len(words):len(words)], c.Name()))
		}
	}
	walk(rootCommand(), nil)
}

func TestHelpFitsATerminal(t *testing.T) {
	commands := 0
	everyCommand(func(words []string) {
		commands++
		out, _, code := once(t, "", append(words, "--help")...)
		if code != 0 {
			t.Errorf("%v --help: exit code %d", words, code)
		}
		for line := range strings.Lines(out) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > helpWidth {
				t.Errorf("%v: %d columns: %s", words, n, line)
			}
		}
	})
	if commands < 20 {
		t.Errorf("only %d commands", commands)
	}
}

// TestExamplesAreCalls parses every example of the help as a shell would, down to the command that it names.
func TestExamplesAreCalls(t *testing.T) {
	installed(t, "sh")
	everyCommand(func(words []string) {
		cmd, _, err := rootCommand().Find(words)
		if err != nil {
			t.Fatal(err)
		}
		if cmd.Example == "" || cmd.Name() == "bash" || cmd.Name() == "zsh" {
			return
		}
		script := "switchboard() { for a; do printf '%s\\n' \"$a\"; done; echo --; }\n" +
			strings.NewReplacer(" &\n", "\n", "<file", "", "<config", "", ">result.json", "", ">received", "").Replace(cmd.Example)
		out := string(peer(t, nil, "sh", "-c", "cd /; for other in date seq nc curl; do eval \"$other() { :; }\"; done\n"+script))
		for call := range strings.SplitSeq(out, "--\n") {
			if call == "" {
				continue
			}
			called, rest, err := rootCommand().Find(strings.Split(strings.TrimSpace(call), "\n"))
			if err == nil {
				err = called.ParseFlags(rest)
			}
			if err != nil {
				t.Errorf("%v: %q: %v", words, call, err)
			}
		}
	})
}

func TestDurationsTakePlainSeconds(t *testing.T) {
	for text, want := range map[string]string{"5": "5s", "0.25": "250ms", "0": "0s", "300ms": "300ms", "1m30s": "1m30s"} {
		cmd, _, _ := rootCommand().Find([]string{"serve", "proxy"})
		for _, name := range []string{"grace", "connect-timeout", "slow-call", "tls-timeout"} {
			if err := cmd.ParseFlags([]string{"--" + name, text}); err != nil || cmd.Flags().Lookup(name).Value.String() != want {
				t.Errorf("--%s %s: %v, %s", name, text, err, cmd.Flags().Lookup(name).Value)
			}
		}
	}
	for _, text := range []string{"soon", "", "NaN", "Inf", "1e400", "5x", "0x10", "1e300"} {
		cmd, _, _ := rootCommand().Find([]string{"dial"})
		if err := cmd.ParseFlags([]string{"-w", text}); err == nil {
			t.Errorf("%q is %s", text, cmd.Flags().Lookup("timeout").Value)
		}
	}
}
