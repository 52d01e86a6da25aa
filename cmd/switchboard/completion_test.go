package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// completions returns what the shell would offer for a command line, and the directive.
func completions(t *testing.T, words ...string) (offers []string, directive string) {
	t.Helper()
	out, _, code := once(t, "", append([]string{"__complete"}, words...)...)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if code != 0 || len(lines) == 0 {
		t.Fatalf("%q: exit code %d, %s", words, code, out)
	}
	for _, line := range lines[:len(lines)-1] {
		offer, _, _ := strings.Cut(line, "\t")
		offers = append(offers, offer)
	}
	return offers, lines[len(lines)-1]
}

func TestTheShellCompletesAddressesFilesAndBaselines(t *testing.T) {
	needUnix(t)
	dir := t.TempDir()
	l, err := net.Listen("unix", filepath.Join(dir, "a.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	os.WriteFile(filepath.Join(dir, "a.txt"), nil, 0o600)
	os.Mkdir(filepath.Join(dir, "a.dir"), 0o700)
	sockets := []string{"unix:" + dir + "/a.dir/", "unix:" + dir + "/a.sock"}
	const noSpace, files, none = ":6", ":0", ":4"
	for _, c := range []struct {
		line      string
		offers    []string
		directive string
	}{
		{"dial unix:" + dir + "/a", sockets, noSpace},
		{"bench unix:" + dir + "/", sockets, noSpace},
		{"listen unix:" + dir + "/a.s", sockets[1:], noSpace},
		{"serve echo --listen unix:" + dir + "/a.s", sockets[1:], noSpace},
		{"serve proxy --to unix:" + dir + "/a.s", sockets[1:], noSpace},
		{"dial unix:/no/such/folder/", nil, noSpace},
		{"dial u", []string{"udp://", "unix:"}, noSpace},
		{"dial tls://l", []string{"tls://localhost:"}, noSpace},
		{"bench ht", []string{"http://", "https://"}, noSpace},
		{"listen f", []string{"fd://"}, noSpace},
		{"dial " + dir + "/a", nil, files},
		{"dial 127.0.0.1:7007 ", nil, none},
		{"serve echo --tls-cert ", nil, files},
		{"bench --html ", nil, files},
		{"bench --payload ", nil, files},
		{"bench --rate ", nil, none},
		{"serve echo --grace ", nil, none},
		{"bench --expect ", []string{"echo", "none", "line", "http"}, none},
		{"bench compare --modes=goroutines,poll --against another={port} --baseline ", []string{"goroutines", "poll", "another"}, none},
	} {
		words := strings.Split(c.line, " ")
		offers, directive := completions(t, words...)
		slices.Sort(offers)
		want := slices.Clone(c.offers)
		slices.Sort(want)
		if !slices.Equal(offers, want) || directive != c.directive {
			t.Errorf("%q: %q %s, wanted %q %s", c.line, offers, directive, want, c.directive)
		}
	}
}

// TestBashCompletesAnAddress asks a real shell.
func TestBashCompletesAnAddress(t *testing.T) {
	needUnix(t)
	bash := installed(t, "bash")
	dir := t.TempDir()
	l, err := net.Listen("unix", filepath.Join(dir, "only.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := os.Symlink(os.Args[0], filepath.Join(dir, "switchboard")); err != nil {
		t.Fatal(err)
	}
	script := `PATH="$1:$PATH"; source <(switchboard completion bash)
		_get_comp_words_by_ref() { words=("${COMP_WORDS[@]}"); cword=$COMP_CWORD; cur=${COMP_WORDS[COMP_CWORD]}; prev=${COMP_WORDS[COMP_CWORD-1]}; }
		__ltrim_colon_completions() { :; }
		COMP_WORDS=(switchboard dial "unix:$1/on"); COMP_CWORD=2; COMP_LINE="${COMP_WORDS[*]}"; COMP_POINT=${#COMP_LINE}; COMP_TYPE=9
		compopt() { :; }
		__start_switchboard; printf '%s\n' "${COMPREPLY[@]}"`
	cmd := exec.Command(bash, "--norc", "-c", script, "bash", dir)
	out, err := cmd.CombinedOutput()
	if err != nil || strings.TrimPrefix(strings.TrimSpace(string(out)), "unix:") != dir+"/only.sock" { // bash breaks words at colons
		t.Errorf("%v: %s", err, out)
	}
}
