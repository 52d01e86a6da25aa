package chat

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestNames(t *testing.T) {
	for text, want := range map[string]string{
		" ann ": "ann", "Zoë": "Zoë", "ｗｉｄｅ": "wide", "anna-2.b": "anna-2.b", "Анна": "Анна", "山田たろう": "山田たろう", "김철수": "김철수", "محمد": "محمد",
		"": "", "a\u202eb": "", "a\u200bb": "", "a b": "", "a\nb": "", "аnn": "", "pαul": "", "-a": "", "a.": "", "😀": "", "a\u0301\u0301\u0301\u0301": "",
		"server": "", "Sуstem": "", "5erver": "5erver", "admin": "", "АDМIN": "", strings.Repeat("a", 25): "", "\xff": "", "a@b": "", "<b>": "",
	} {
		got, err := cleanName(text)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q is %q, %v; want %q", text, got, err, want)
		}
	}
}

func TestNamesThatLookTheSameAreTheSame(t *testing.T) {
	for _, group := range [][]string{
		{"paul", "Paul", "PAUL", "раul", "pаul", "pa-ul", "pául", "paui", "pau1", "pauI"},
		{"coco", "сосо", "c0c0", "ϲοϲο", "C.O-C_O"},
		{"modern", "rnodern", "modem"},
		{"wow", "vvovv", "ԝоԝ"},
		{"anna2", "anna２", "anna٢"},
	} {
		for _, name := range group {
			if skeleton(name) != skeleton(group[0]) {
				t.Errorf("%q is %q, and %q is %q", name, skeleton(name), group[0], skeleton(group[0]))
			}
		}
	}
	for _, pair := range [][2]string{{"ann", "bob"}, {"paul", "paula"}, {"山田", "山口"}, {"Анна", "Инна"}} {
		if skeleton(pair[0]) == skeleton(pair[1]) {
			t.Errorf("%q and %q are both %q", pair[0], pair[1], skeleton(pair[0]))
		}
	}
}

func TestTextIsText(t *testing.T) {
	for text, want := range map[string]string{
		"hello": "hello", "  a\tb\n": "a b", "\x1b[31mred\x07": "[31mred", "\u202eabc\u2066": "abc", "<script>": "<script>", "a\x00b\xff": "ab\ufffd",
		"👩\u200d💻": "👩\u200d💻", "\u2028": "",
	} {
		if got := cleanText(text); got != want {
			t.Errorf("%q is %q, not %q", text, got, want)
		}
	}
}

func FuzzName(f *testing.F) {
	for _, seed := range []string{"ann", "раul", "a\u202eb", "\xff", "山田", "e\u0301", "ﬀ", "Ⅷ"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		name, err := cleanName(text)
		if err != nil {
			return
		}
		if again, err := cleanName(name); err != nil || again != name {
			t.Errorf("%q is cleaned to %q, and that to %q, %v", text, name, again, err)
		}
		if n := utf8.RuneCountInString(name); n == 0 || n > LongestName || skeleton(name) == "" {
			t.Errorf("%q has %d characters, skeleton %q", name, n, skeleton(name))
		}
		for _, r := range name {
			if !unicode.IsPrint(r) || r == '@' || unicode.IsSpace(r) {
				t.Errorf("%q has %U in it", name, r)
			}
		}
	})
}
