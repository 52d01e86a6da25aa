// Package docs_test checks the pages: their links, the code in them, and the commands of the README.
package docs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const root = ".."

// A page is a file of Markdown.
type page struct {
	path   string // from the root, with slashes
	text   []string
	blocks []block
}

// A block is a fenced piece of a page.
type block struct {
	page     string
	line     int    // of its first line, counted from 1
	language string // what the fence says; "" if nothing
	context  string // of a comment <!-- go: … --> or the like right above it
	lines    []string
}

// readPages returns every page of the repository.
func readPages(t *testing.T) (pages []page) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != root && strings.HasPrefix(d.Name(), ".") {
			return filepath.SkipDir
		}
		if filepath.Ext(path) != ".md" {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		from, err := filepath.Rel(root, path)
		pages = append(pages, parse(filepath.ToSlash(from), string(text)))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(pages) < 10 {
		t.Fatalf("only %d pages found", len(pages))
	}
	return pages
}

// parse cuts a page into blocks and text. Lines of blocks are empty in the text.
func parse(path, whole string) page {
	p := page{path: path}
	var open *block
	comment := ""
	for i, line := range strings.Split(whole, "\n") {
		fence, isFence := strings.CutPrefix(strings.TrimSpace(line), "```")
		switch {
		case isFence && open == nil:
			open = &block{page: path, line: i + 2, language: fence, context: comment}
		case isFence:
			p.blocks = append(p.blocks, *open)
			open = nil
		case open != nil:
			open.lines = append(open.lines, line)
		default:
			if after, ok := strings.CutPrefix(line, "<!-- "); ok {
				comment = strings.TrimSuffix(after, " -->")
			} else if line != "" {
				comment = ""
			}
			p.text = append(p.text, line)
			continue
		}
		p.text = append(p.text, "")
	}
	return p
}
