package report

import (
	_ "embed"
	"encoding/json"
	"html/template"
	"io"
	"strings"
)

// A Page is one file of HTML that needs nothing else: no network, no other file, no script.
type Page struct {
	Title string
	Lead  string
	Body  template.HTML
	Data  any // is in the page as JSON, for whoever wants the figures
}

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{"json": jsonText}).Parse(pageText))

// Write writes the page.
func (p Page) Write(w io.Writer) error { return pageTemplate.Execute(w, p) }

// Fill executes a template for a page's body.
func Fill(t *template.Template, data any) (template.HTML, error) {
	var b strings.Builder
	err := t.Execute(&b, data)
	return template.HTML(b.String()), err
}

// jsonText is JSON that can stand in an element: encoding/json writes no <, > or & as they are.
func jsonText(v any) (template.JS, error) {
	text, err := json.MarshalIndent(v, "", " ")
	return template.JS(text), err
}
