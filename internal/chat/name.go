package chat

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// LongestName is how many characters a nickname may have.
const LongestName = 24

// cleanName returns a nickname as it is shown, or what is wrong with it. It is NFKC, so that what looks wide or raised is what it
// stands for; of letters, digits, and - _ . between them; and its letters are of one script.
func cleanName(text string) (string, error) {
	if !utf8.ValidString(text) || len(text) > 16*LongestName {
		return "", errors.New("a name is at most 24 characters")
	}
	name := norm.NFKC.String(strings.TrimSpace(text))
	n := utf8.RuneCountInString(name)
	switch {
	case n == 0:
		return "", errors.New("a name has at least one character")
	case n > LongestName:
		return "", errors.New("a name is at most 24 characters")
	}
	var used string
	marks := 0
	for i, r := range name {
		first, last := i == 0, i+utf8.RuneLen(r) == len(name)
		switch {
		case unicode.Is(unicode.Mn, r) || unicode.Is(unicode.Mc, r):
			if marks++; first || marks > 2 {
				return "", fmt.Errorf("a name cannot have %U there", r)
			}
			continue
		case unicode.IsLetter(r):
			script := scriptOf(r)
			if script == "" {
				return "", fmt.Errorf("a name cannot have %q (%U)", r, r)
			}
			if used, first = together(used, script); !first {
				return "", errors.New("the letters of a name must be of one script: this one could imitate another")
			}
		case unicode.Is(unicode.Nd, r):
		case strings.ContainsRune("-_.", r) && !first && !last:
		default:
			return "", fmt.Errorf("a name is of letters, digits, and - _ . between them; it cannot have %q (%U)", r, r)
		}
		marks = 0
	}
	switch skeleton(name) {
	case skeleton("server"), skeleton("system"), skeleton("admin"), skeleton("moderator"), skeleton("everybody"):
		return "", errors.New("this name is taken")
	}
	return name, nil
}

// scripts are those that a name may be written in. Others are rare, or read by few who would notice an imitation.
var scripts = []string{"Latin", "Cyrillic", "Greek", "Han", "Hiragana", "Katakana", "Hangul", "Arabic", "Hebrew", "Devanagari", "Bengali",
	"Thai", "Armenian", "Georgian", "Tamil", "Telugu", "Ethiopic", "Khmer"}

func scriptOf(r rune) string {
	for _, name := range scripts {
		if unicode.Is(unicode.Scripts[name], r) {
			return name
		}
	}
	if r == 'ー' { // common to the two kana
		return "Katakana"
	}
	return ""
}

// together tells whether letters of both scripts may be in one name (Unicode TR39, highly restrictive without Latin).
func together(used, script string) (string, bool) {
	japanese := func(s string) bool { return s == "Han" || s == "Hiragana" || s == "Katakana" }
	korean := func(s string) bool { return s == "Han" || s == "Hangul" }
	switch {
	case used == "" || used == script:
		return script, true
	case japanese(used) && japanese(script):
		return "Hiragana", true
	case korean(used) && korean(script):
		return "Hangul", true
	}
	return used, false
}

// skeleton returns what names have in common that people could take for each other: without case, marks and punctuation, and
// with each letter that looks like a Latin one as that (after Unicode TR39).
func skeleton(name string) string {
	var b strings.Builder
	for _, r := range norm.NFKD.String(strings.ToLower(norm.NFKD.String(strings.ReplaceAll(name, "I", "l")))) {
		switch {
		case unicode.Is(unicode.Mn, r) || strings.ContainsRune("-_.", r):
			continue
		case unicode.Is(unicode.Nd, r) && r > unicode.MaxASCII:
			r = '0' + digit(r)
		}
		if s, ok := alike[r]; ok {
			b.WriteString(s)
		} else {
			b.WriteRune(r)
		}
	}
	return strings.NewReplacer("rn", "m", "vv", "w", "cl", "d", "nn", "m").Replace(b.String())
}

// digit returns the value of a decimal digit: those of a script lie in a row.
func digit(r rune) rune {
	n := rune(0)
	for n < 9 && unicode.Is(unicode.Nd, r-n-1) {
		n++
	}
	return n % 10
}

// alike are lower-case letters and digits that look like Latin letters, as those.
var alike = func() map[rune]string {
	m := map[rune]string{}
	for _, pair := range []string{
		"aаαɑ", "bЬьв", "cсϲς", "dԁ", "eеєεҽ", "gɡց", "hһհн", "iіɩιıɪ", "jјϳ", "kкκĸ", "lӏ1|ⅼוا", "mм", "nոпηռ", "oоοօ0סه๐", "pрρ",
		"qԛգ", "rгɾ", "sѕꜱ", "tтτ", "uυսц", "vνѵע", "wԝшωѡա", "xхχҳ", "yуγүყ", "zᴢ", "3зз", "6б",
	} {
		to := ""
		for _, r := range pair {
			if to == "" {
				to = string(r)
			}
			m[r] = to
		}
	}
	m['i'], m['j'] = "l", "j"
	for _, r := range "іɩιıɪ" {
		m[r] = "l"
	}
	m['ß'], m['æ'], m['ø'], m['đ'], m['ł'], m['ð'] = "ss", "ae", "o", "d", "l", "d"
	return m
}()

// cleanText returns what is said without what is not text: control characters, marks of direction, and bytes that are no UTF-8.
func cleanText(text string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n' || r == '\u2028' || r == '\u2029':
			return ' '
		case unicode.IsControl(r), r == '\u061c', r == '\u200e', r == '\u200f', r >= '\u202a' && r <= '\u202e',
			r >= '\u2066' && r <= '\u206f', r == '\ufeff', r >= '\ufff0' && r <= '\ufffb', r >= 0xe0000 && r <= 0xe0fff:
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, "\ufffd")))
}

// checkRoom says what is wrong with the name of a room. It is ASCII, so that no two look the same.
func checkRoom(name string) error {
	if name == "" || len(name) > 32 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || name[0] == '-' {
		return errors.New("a room's name is 1 to 32 of a-z, 0-9 and -, and does not begin with -")
	}
	return nil
}
