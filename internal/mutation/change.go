package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// A change is a file with one place made different.
type change struct {
	path     string
	line     int
	was, now string
	source   []byte // of the whole file
}

func (c change) String() string {
	return fmt.Sprintf("%s:%d: %s → %s", c.path, c.line, short(c.was), short(c.now))
}

func short(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > 60 {
		s = s[:57] + "..."
	}
	return s
}

// collect returns all changes of the files in dir that are not tests and are compiled here.
func collect(dir string) (all []change, err error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("%s: no Go files", dir)
	}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") || !builtHere(path) {
			continue
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, source, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		v := &visitor{path: path, source: source, set: set}
		ast.Inspect(file, v.visit)
		all = append(all, v.found...)
	}
	return all, nil
}

// A visitor finds the places of a file.
type visitor struct {
	path   string
	source []byte
	set    *token.FileSet
	found  []change
}

func (v *visitor) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.GenDecl:
		return n.Tok != token.IMPORT && n.Tok != token.TYPE
	case *ast.IfStmt:
		v.replace(n.Cond, "!("+v.text(n.Cond)+")")
	case *ast.ForStmt:
		if n.Cond != nil {
			v.replace(n.Cond, "false && ("+v.text(n.Cond)+")")
		}
	case *ast.CaseClause:
		for _, e := range n.List {
			if b, ok := e.(*ast.BinaryExpr); ok && b.Op.Precedence() <= token.EQL.Precedence() {
				v.replace(e, "!("+v.text(e)+")")
			}
		}
	case *ast.BinaryExpr:
		v.binary(n)
	case *ast.ExprStmt:
		if _, ok := n.X.(*ast.CallExpr); ok {
			v.replace(n, "{}")
		}
	case *ast.DeferStmt:
		v.replace(n, "{}")
	case *ast.IncDecStmt:
		if n.Tok == token.INC {
			v.put(n.TokPos, 2, "--")
		} else {
			v.put(n.TokPos, 2, "++")
		}
	case *ast.AssignStmt:
		v.assign(n)
	case *ast.BasicLit:
		if i, err := strconv.Atoi(n.Value); n.Kind == token.INT && err == nil {
			v.replace(n, strconv.Itoa(i+1))
		}
	}
	return true
}

// others says what an operator becomes.
var others = map[token.Token]string{
	token.LSS: "<=", token.LEQ: "<", token.GTR: ">=", token.GEQ: ">", token.EQL: "!=", token.NEQ: "==",
	token.LAND: "||", token.LOR: "&&", token.ADD: "-", token.SUB: "+", token.AND: "|", token.OR: "&",
}

func (v *visitor) binary(n *ast.BinaryExpr) {
	if s, ok := n.X.(*ast.BasicLit); ok && s.Kind == token.STRING {
		return
	}
	if o, ok := others[n.Op]; ok {
		v.put(n.OpPos, len(n.Op.String()), o)
	}
}

// assign leaves out an assignment to what is there already, or makes it another.
func (v *visitor) assign(n *ast.AssignStmt) {
	switch n.Tok {
	case token.ASSIGN:
		for _, rhs := range n.Rhs {
			if id, ok := rhs.(*ast.Ident); ok && (id.Name == "true" || id.Name == "false") {
				v.replace(rhs, strconv.FormatBool(id.Name == "false"))
				return
			}
		}
		if len(n.Lhs) == 1 {
			if _, ok := n.Lhs[0].(*ast.SelectorExpr); ok {
				v.replace(n, "{}")
			}
		}
	case token.ADD_ASSIGN:
		v.put(n.TokPos, 2, "-=")
	case token.SUB_ASSIGN:
		v.put(n.TokPos, 2, "+=")
	case token.OR_ASSIGN, token.AND_NOT_ASSIGN:
		v.replace(n, "{}")
	}
}

func (v *visitor) offset(p token.Pos) int { return v.set.Position(p).Offset }

func (v *visitor) text(n ast.Node) string {
	return string(v.source[v.offset(n.Pos()):v.offset(n.End())])
}

func (v *visitor) replace(n ast.Node, with string) { v.put(n.Pos(), int(n.End()-n.Pos()), with) }

func (v *visitor) put(at token.Pos, n int, with string) {
	from := v.offset(at)
	source := make([]byte, 0, len(v.source)+len(with))
	source = append(append(append(source, v.source[:from]...), with...), v.source[from+n:]...)
	was := string(v.source[from : from+n])
	if len(was) <= 3 { // an operator says little alone
		was, with = v.lineOf(v.source, from), v.lineOf(source, from)
	}
	v.found = append(v.found, change{v.path, v.set.Position(at).Line, was, with, source})
}

func (v *visitor) lineOf(source []byte, at int) string {
	from, to := at, at
	for from > 0 && source[from-1] != '\n' {
		from--
	}
	for to < len(source) && source[to] != '\n' {
		to++
	}
	return string(source[from:to])
}
