package docs_test

import (
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

var (
	inline    = regexp.MustCompile(`\]\(([^)\s]+)(?:\s+"[^"]*")?\)`)
	reference = regexp.MustCompile(`^\[[^\]]+\]:\s+(\S+)`)
	attribute = regexp.MustCompile(`(?:src|srcset|href)="([^"]+)"`)
	codeSpan  = regexp.MustCompile("`[^`]*`")
	linkText  = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
)

// anchors returns the names of a page's headings, as GitHub makes them.
func (p page) anchors() map[string]bool {
	names := map[string]bool{}
	for _, line := range p.text {
		level := len(line) - len(strings.TrimLeft(line, "#"))
		if level == 0 || level > 6 || !strings.HasPrefix(line[level:], " ") {
			continue
		}
		heading := linkText.ReplaceAllString(strings.TrimSpace(line[level:]), "$1")
		names[strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' || r == '_':
				return unicode.ToLower(r)
			}
			return -1
		}, heading)] = true
	}
	return names
}

func TestLinksLeadSomewhere(t *testing.T) {
	pages := map[string]page{}
	for _, p := range readPages(t) {
		pages[p.path] = p
	}
	links := 0
	for _, p := range pages {
		for i, line := range p.text {
			if strings.HasPrefix(line, "<<<<<<<") || strings.HasPrefix(line, ">>>>>>>") {
				t.Errorf("%s:%d: the mark of a merge was left", p.path, i+1)
			}
			line = codeSpan.ReplaceAllString(line, "")
			found := append(inline.FindAllStringSubmatch(line, -1), reference.FindAllStringSubmatch(line, -1)...)
			for _, link := range append(found, attribute.FindAllStringSubmatch(line, -1)...) {
				links++
				if why := follow(pages, p, link[1]); why != "" {
					t.Errorf("%s:%d: %s: %s", p.path, i+1, link[1], why)
				}
			}
		}
	}
	if links < 100 {
		t.Errorf("only %d links found", links)
	}
}

// follow returns why a link leads nowhere. Links to other hosts are only looked at.
func follow(pages map[string]page, from page, link string) string {
	u, err := url.Parse(link)
	if err != nil {
		return err.Error()
	}
	if u.Scheme != "" {
		if u.Scheme != "https" || u.Host == "" {
			return "not a link of https"
		}
		return ""
	}
	target := from.path
	if u.Path != "" {
		target = path.Join(path.Dir(from.path), u.Path)
	}
	if strings.HasPrefix(target, "..") {
		return "it leads out of the repository"
	}
	if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(target))); err != nil {
		return "there is no such file"
	}
	if u.Fragment == "" {
		return ""
	}
	if p, ok := pages[target]; !ok || !p.anchors()[u.Fragment] {
		return "there is no such heading"
	}
	return ""
}

func TestDeadLinksAreFound(t *testing.T) {
	p := parse("docs/a.md", "# One `two`: three & [four](b.md)\n```\n# not a heading\n```\n## Täter_5")
	p.path = "docs/performance.md" // a file that exists
	pages := map[string]page{p.path: p}
	for link, alive := range map[string]bool{
		"#one-two-three--four": true, "#täter_5": true, "#not-a-heading": false, "": true,
		"https://example.org/x": true, "http://example.org": false, "pages_test.go": true, "nothing.md": false,
		"../README.md": true, "../../outside": false, "pages_test.go#L1": false,
	} {
		if why := follow(pages, p, link); (why == "") != alive {
			t.Errorf("%q: %q", link, why)
		}
	}
}

// Comments of the code name pages, too.
func TestPagesThatCodeNamesExist(t *testing.T) {
	named := regexp.MustCompile(`\bdocs/[\w-]+\.(?:md|svg)`)
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".go" || filepath.Base(path) == "links_test.go" {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, name := range named.FindAllString(string(text), -1) {
			if _, err := os.Stat(filepath.Join(root, name)); err != nil {
				t.Errorf("%s names %s: there is no such page", path, name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
