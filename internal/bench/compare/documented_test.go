package compare

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/switchboard-go/switchboard/internal/bench"
)

// fields returns the names that a type has as JSON, and those of what it holds.
func fields(t reflect.Type, seen map[reflect.Type]bool) (names []string) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || seen[t] || !strings.Contains(t.PkgPath(), "bench") {
		return nil
	}
	seen[t] = true
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !f.IsExported() || name == "-" {
			continue
		}
		names = append(names, name)
		names = append(names, fields(f.Type, seen)...)
	}
	return names
}

// Fields of what was asked for bear the names of flags, and those of the machine say what they are.
var plain = []reflect.Type{reflect.TypeFor[bench.Settings](), reflect.TypeFor[bench.Machine]()}

func TestEveryFieldOfTheJSONIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../../docs/bench.md")
	if err != nil {
		t.Fatal(err)
	}
	_, documented, _ := strings.Cut(string(text), "## The JSON")
	seen := map[reflect.Type]bool{}
	for _, p := range plain {
		seen[p] = true
	}
	names := append(fields(reflect.TypeFor[bench.Result](), seen), fields(reflect.TypeFor[Result](), seen)...)
	if len(names) < 80 {
		t.Errorf("only %d fields found", len(names))
	}
	for _, name := range names {
		if !strings.Contains(documented, "`"+name+"`") {
			t.Errorf("%q is not in docs/bench.md", name)
		}
	}
	for _, schema := range []string{bench.Schema, Schema} {
		if !strings.Contains(documented, schema) {
			t.Errorf("the schema %s is not in docs/bench.md", schema)
		}
	}
}
