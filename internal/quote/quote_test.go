package quote

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"testing"
)

func TestLineShowsTextAndQuotesTheRest(t *testing.T) {
	for s, want := range map[string]string{
		"": "", "CN=Größe 漢字": "CN=Größe 漢字", `C:\no\escape`: `C:\no\escape`,
		"a\x1b]0;title\a": `a\x1b]0;title\a`, "a\r\nverified": `a\r\nverified`, "\u009b31m": `\u009b31m`,
		"\u202eabc": `\u202eabc`, "\xff\xfe": `\xff\xfe`, "\ufffd": "\ufffd", "tab\tnul\x00del\x7f": `tab\tnul\x00del\x7f`,
	} {
		if got := Line(s); got != want {
			t.Errorf("%q: %s, want %s", s, got, want)
		}
	}
	if got := Error(errors.Join(errors.New("one"), errors.New("t\x1bwo"))); got != `one; t\x1bwo` {
		t.Error(got)
	}
}

func TestANameCannotLookLikeSeveral(t *testing.T) {
	for s, want := range map[string]string{
		"*.example.net": "*.example.net", "::1": "::1", "a, b": `"a, b"`, "": `""`, "a\nb": `"a\nb"`, "\u0430pple.com": `"` + "\u0430" + `pple.com"`,
	} {
		if got := Name(s); got != want {
			t.Errorf("%q: %s, want %s", s, got, want)
		}
	}
}

func TestJSONStaysTheSameValue(t *testing.T) {
	const hostile = "\u009b31m \u202e \U000e0001 \x7f fine: Größe 漢字 \U0001f600"
	var out bytes.Buffer
	if err := json.NewEncoder(JSON(&out)).Encode(hostile); err != nil {
		t.Fatal(err)
	}
	var back string
	if err := json.Unmarshal(out.Bytes(), &back); err != nil || back != hostile {
		t.Errorf("%q, %v", back, err)
	}
	if text := strings.TrimSuffix(out.String(), "\n"); strings.ContainsFunc(text, func(r rune) bool { return !strconv.IsPrint(r) }) {
		t.Errorf("%q", text)
	}
}

func FuzzLine(f *testing.F) {
	f.Add("a\x1b[2Jb\xff\u202e")
	f.Fuzz(func(t *testing.T, s string) {
		if got := Line(s); strings.ContainsFunc(got, func(r rune) bool { return !strconv.IsPrint(r) }) {
			t.Errorf("%q gave %q", s, got)
		}
	})
}
