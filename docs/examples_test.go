package docs_test

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// public are the packages that programs import.
var public = []string{".", "socket", "selector", "frame", "certs", "web", "websocket", "room", "room/natsroom", "zmtp", "metrics", "proxyproto", "access"}

// unexplained are functions that a program does not begin with: their one line says all.
var unexplained = map[string][]string{
	".": {"Engines", "HistogramBound"},
	"socket": {"ControlLen", "ControlSpace", "FromFD", "FromListener", "GetFQDN", "GetHostByAddr", "GetHostByName", "GetHostName", "GetNameInfo",
		"GetProtoByName", "GetServByName", "GetServByPort", "Htonl", "Htons", "IfIndexToName", "IfNameIndex", "IfNameToIndex", "InetAddr", "InetAton",
		"InetNtoa", "InetNtop", "InetPton", "NetlinkAddr", "Ntohl", "Ntohs", "PacketAddr", "UnixAddr", "VsockAddr"},
	"selector":      {"Mechanisms", "NewAFD", "NewEpoll", "NewKqueue", "NewPoll", "NewSelect", "Open"},
	"certs":         {"WarnExposed"},
	"websocket":     {"Join"},
	"room":          {"Stream", "WebSocket"},
	"room/natsroom": {"New"},
	"zmtp":          {"NewSocket", "ParseKey"},
	"metrics":       {"Process", "ReadProcess", "Server"},
	"proxyproto":    {"For"},
	"access":        {"Merge", "ReadList"},
}

// beginnings are types that programs begin with and that no function makes.
var beginnings = map[string][]string{
	".":         {"Server", "Handler", "Opener", "InputEnder", "Drainer", "Leaver", "Trace", "Conn"},
	"web":       {"Server", "Conn"},
	"websocket": {"Upgrader"},
	"zmtp":      {"Context", "Message", "Device"},
}

// TestWhatAProgramBeginsWithHasAnExample reads the packages as go doc does.
func TestWhatAProgramBeginsWithHasAnExample(t *testing.T) {
	for _, path := range public {
		p, shown := documented(t, path)
		var functions []string
		add := func(list []*doc.Func) {
			for _, f := range list {
				functions = append(functions, f.Name)
			}
		}
		add(p.Funcs)
		for _, typ := range p.Types {
			add(typ.Funcs)
		}
		for _, name := range functions {
			has := slices.Contains(shown, name) || slices.ContainsFunc(shown, func(s string) bool { return strings.HasPrefix(s, name+"_") })
			if waived := slices.Contains(unexplained[path], name); has == waived {
				t.Errorf("%s.%s: has an example: %v, needs none: %v", path, name, has, waived)
			}
		}
		for _, name := range beginnings[path] {
			if !slices.ContainsFunc(shown, func(s string) bool { return s == name || strings.HasPrefix(s, name+"_") }) {
				t.Errorf("%s.%s has no example", path, name)
			}
		}
		if len(shown) == 0 {
			t.Errorf("%s has no example at all", path)
		}
	}
}

// documented returns a package and the names of its examples.
func documented(t *testing.T, path string) (*doc.Package, []string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join("..", path, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	fset := token.NewFileSet()
	var code, tests []*ast.File
	for _, name := range names {
		f, err := parser.ParseFile(fset, name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "_test.go") {
			tests = append(tests, f)
		} else {
			code = append(code, f)
		}
	}
	p, err := doc.NewFromFiles(fset, code, "example/"+path)
	if err != nil {
		t.Fatal(err)
	}
	var shown []string
	for _, e := range doc.Examples(tests...) {
		if e.Output == "" && !e.EmptyOutput && e.Name != "ListenAndServe" && e.Name != "Connect" && e.Name != "NewLog" {
			t.Errorf("%s: the example of %q is not run", path, e.Name)
		}
		if e.Play == nil && e.Name != "" && !standsAlone(e) {
			t.Errorf("%s: the example of %q uses what a reader does not see", path, e.Name)
		}
		shown = append(shown, e.Name)
	}
	return p, shown
}

// standsAlone tells whether an example, which is not a whole program by itself, is the only one of its file: godoc shows it all then.
func standsAlone(e *doc.Example) bool {
	_, whole := e.Code.(*ast.File)
	return whole
}
