package docs_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestCodeOfThePagesCompiles checks every block of Go. A block that begins with a package clause is a program; another one is
// the inside of a function. What such a fragment takes from its surroundings is declared in a comment above it:
//
//	<!-- go: var handler switchboard.Handler -->
func TestCodeOfThePagesCompiles(t *testing.T) {
	var blocks []block
	for _, p := range readPages(t) {
		for _, b := range p.blocks {
			if b.language == "go" {
				blocks = append(blocks, b)
			}
		}
	}
	if len(blocks) < 8 {
		t.Fatalf("only %d blocks of Go found", len(blocks))
	}
	compiled := compiledPackages(t)
	for _, b := range blocks {
		t.Run(fmt.Sprintf("%s:%d", b.page, b.line), func(t *testing.T) {
			if err := compiled.check(b); err != nil {
				t.Error(err)
			}
		})
	}
}

// packages are the compiled packages that code of a page may import.
type packages struct {
	files map[string]string // the export data of a path
	names map[string]string // the path of a package's name, for fragments
}

func compiledPackages(t *testing.T) packages {
	t.Helper()
	cmd := exec.Command("go", "list", "-export", "-deps", "-json=ImportPath,Name,Export", "./...", "net/http", "os/signal")
	cmd.Dir = root
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	found := packages{map[string]string{}, map[string]string{}}
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct{ ImportPath, Name, Export string }
		if err := d.Decode(&p); err == io.EOF {
			return found
		} else if err != nil {
			t.Fatal(err)
		}
		found.files[p.ImportPath] = p.Export
		ours := strings.HasPrefix(p.ImportPath, "github.com/switchboard-go/") && !strings.Contains(p.ImportPath, "internal")
		std := !strings.Contains(p.ImportPath, ".") && !strings.Contains(p.ImportPath, "internal")
		if known := found.names[p.Name]; (ours || std && known == "") && !strings.Contains(p.ImportPath, "/examples/") {
			found.names[p.Name] = p.ImportPath
		}
	}
}

// check compiles a block, all but the machine code.
func (c packages) check(b block) error {
	code := strings.Join(b.lines, "\n")
	if !strings.HasPrefix(code, "package ") {
		before, _ := strings.CutPrefix(b.context, "go: ")
		code = "package main\n" + c.imports(before+"\n"+code) + before + "\nfunc _() {\n" + code + "\n}\nfunc main() {}\n"
	}
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, "block.go", code, parser.SkipObjectResolution)
	if err != nil {
		return fmt.Errorf("%w\n%s", err, code)
	}
	var all []error
	config := types.Config{
		Importer: importer.ForCompiler(files, "gc", func(path string) (io.ReadCloser, error) {
			if c.files[path] == "" {
				return nil, fmt.Errorf("%s is no package of the repository or of what it imports", path)
			}
			return os.Open(c.files[path])
		}),
		Error: func(err error) {
			if !strings.Contains(err.Error(), "declared and not used") { // a fragment ends before it is used
				all = append(all, err)
			}
		},
	}
	config.Check("main", files, []*ast.File{file}, nil)
	return errors.Join(all...)
}

// imports declares the imports of a fragment: every package whose name it uses.
func (c packages) imports(code string) string {
	var used []string
	for i, r := range code {
		if r != '.' {
			continue
		}
		start := i
		for start > 0 && (code[start-1] >= 'a' && code[start-1] <= 'z' || code[start-1] >= '0' && code[start-1] <= '9') {
			start--
		}
		if start > 0 && (code[start-1] == '.' || code[start-1] == '_') {
			continue
		}
		if path := c.names[code[start:i]]; path != "" && !slices.Contains(used, path) {
			used = append(used, path)
		}
	}
	declared := ""
	for _, path := range used {
		declared += "import " + strconv.Quote(path) + "\n"
	}
	return declared
}
