package main

import (
	"cmp"
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
	original []byte // the same without the change
	offset   int    // of the change in it
	guard    guard  // the same under a condition
}

func (c change) String() string {
	was, now := strings.Join(strings.Fields(c.was), " "), strings.Join(strings.Fields(c.now), " ")
	same := 0
	for same < min(len(was), len(now)) && was[same] == now[same] {
		same++
	}
	if from := same - 20; from > 0 && len(was) > 60 { // the beginning says less than what is changed
		was, now = "..."+was[from:], "..."+now[from:]
	}
	return fmt.Sprintf("%s:%d: %s → %s", c.path, c.line, short(was), short(now))
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
		v := &visitor{path: path, source: source, set: set, whole: make(map[ast.Expr]*ast.BinaryExpr)}
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
	whole  map[ast.Expr]*ast.BinaryExpr // the expression that one without parentheses is a part of
	found  []change
}

func (v *visitor) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.GenDecl:
		return n.Tok != token.IMPORT && n.Tok != token.TYPE
	case *ast.IfStmt:
		v.negate(n.Cond)
	case *ast.ForStmt:
		if n.Cond != nil {
			v.replace(n.Cond, "false && ("+v.text(n.Cond)+")", v.wrap(n.Cond, "!mutated("+guardNumber+") && (", ")"))
		}
	case *ast.CaseClause:
		for _, e := range n.List {
			if b, ok := e.(*ast.BinaryExpr); ok && b.Op.Precedence() <= token.EQL.Precedence() {
				v.negate(e)
			}
		}
	case *ast.BinaryExpr:
		v.binary(n)
	case *ast.ExprStmt:
		if _, ok := n.X.(*ast.CallExpr); ok {
			v.leaveOut(n)
		}
	case *ast.DeferStmt:
		v.leaveOut(n)
	case *ast.IncDecStmt:
		other := "--"
		if n.Tok == token.DEC {
			other = "++"
		}
		v.put(n.TokPos, 2, other, v.instead(v.offset(n.Pos()), v.offset(n.End()), v.text(n.X)+other))
	case *ast.AssignStmt:
		v.assign(n)
	case *ast.BasicLit:
		if i, err := strconv.Atoi(n.Value); n.Kind == token.INT && err == nil {
			other, g := strconv.Itoa(i+1), guard{}
			if whole := v.whole[n]; whole != nil {
				g = v.within(whole, v.offset(n.Pos()), len(n.Value), other)
			}
			v.replace(n, other, g)
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
	whole := cmp.Or(v.whole[n], n) // what is changed binds as it does without parentheses
	v.whole[n.X], v.whole[n.Y] = whole, whole
	if s, ok := n.X.(*ast.BasicLit); ok && s.Kind == token.STRING {
		return
	}
	if o, ok := others[n.Op]; ok {
		v.put(n.OpPos, len(n.Op.String()), o, v.within(whole, v.offset(n.OpPos), len(n.Op.String()), o))
	}
}

// within guards a change of n bytes in an expression.
func (v *visitor) within(whole *ast.BinaryExpr, at, n int, with string) guard {
	from, to := v.offset(whole.Pos()), v.offset(whole.End())
	now := string(v.source[from:at]) + with + string(v.source[at+n:to])
	return v.either(from, to, now, whole.Op.Precedence() <= token.EQL.Precedence())
}

// assign leaves out an assignment to what is there already, or makes it another.
func (v *visitor) assign(n *ast.AssignStmt) {
	switch n.Tok {
	case token.ASSIGN:
		for _, rhs := range n.Rhs {
			if id, ok := rhs.(*ast.Ident); ok && (id.Name == "true" || id.Name == "false") {
				v.replace(rhs, strconv.FormatBool(id.Name == "false"), v.wrap(rhs, "", " != mutated("+guardNumber+")"))
				return
			}
		}
		if len(n.Lhs) == 1 {
			if _, ok := n.Lhs[0].(*ast.SelectorExpr); ok {
				v.leaveOut(n)
			}
		}
	case token.ADD_ASSIGN, token.SUB_ASSIGN:
		other := "-="
		if n.Tok == token.SUB_ASSIGN {
			other = "+="
		}
		now := v.text(n.Lhs[0]) + " " + other + " " + v.text(n.Rhs[0])
		v.put(n.TokPos, 2, other, v.instead(v.offset(n.Pos()), v.offset(n.End()), now))
	case token.OR_ASSIGN, token.AND_NOT_ASSIGN:
		v.leaveOut(n)
	}
}

func (v *visitor) offset(p token.Pos) int { return v.set.Position(p).Offset }

func (v *visitor) text(n ast.Node) string {
	return string(v.source[v.offset(n.Pos()):v.offset(n.End())])
}

func (v *visitor) negate(n ast.Expr) {
	v.replace(n, "!("+v.text(n)+")", v.wrap(n, "(", ") != mutated("+guardNumber+")"))
}

func (v *visitor) leaveOut(n ast.Stmt) {
	v.replace(n, "{}", v.wrap(n, "if !mutated("+guardNumber+") {", "}"))
}

// wrap guards n by what stands before and behind it.
func (v *visitor) wrap(n ast.Node, before, behind string) guard {
	return guard{v.offset(n.Pos()), v.offset(n.End()), before + v.text(n) + behind}
}

func (v *visitor) replace(n ast.Node, with string, g guard) {
	v.put(n.Pos(), int(n.End()-n.Pos()), with, g)
}

func (v *visitor) put(at token.Pos, n int, with string, g guard) {
	from := v.offset(at)
	source := make([]byte, 0, len(v.source)+len(with))
	source = append(append(append(source, v.source[:from]...), with...), v.source[from+n:]...)
	was := string(v.source[from : from+n])
	if len(was) <= 3 { // an operator says little alone
		was, with = v.lineOf(v.source, from), v.lineOf(source, from)
	}
	v.found = append(v.found, change{v.path, v.set.Position(at).Line, was, with, source, v.source, from, g})
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
