package compare

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"

	"github.com/switchboard-go/switchboard/internal/bench/report"
)

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("compare").Funcs(report.Words).Parse(pageText))

// HTML writes the comparison as one page.
func (r *Result) HTML(w io.Writer) error {
	body, err := report.Fill(pageTemplate, map[string]any{
		"Result":  r,
		"Picture": template.HTML(r.picture()),
		"Conns":   r.levels(),
		"Command": report.Command(r.Command),
	})
	if err != nil {
		return err
	}
	return report.Page{Title: "switchboard bench compare", Lead: r.load(), Body: body, Data: r}.Write(w)
}

// SVG writes the picture alone, for a page of somebody else's.
func (r *Result) SVG(w io.Writer) error {
	_, err := io.WriteString(w, r.picture())
	return err
}

// load says in a sentence what all of them had to do.
func (r *Result) load() string {
	in := ""
	if r.Depth > 1 {
		in = fmt.Sprintf(", %d in flight on each connection", r.Depth)
	}
	return fmt.Sprintf("Echo of %d bytes%s, every byte compared. Medians of %d rounds of %s each, in random order; all on one machine with the generator.",
		r.Size, in, r.Rounds, report.Seconds(r.Slice))
}

// levels returns the numbers of connections that anybody was loaded with.
func (r *Result) levels() (conns []int) {
	for _, s := range r.Servers {
		for _, l := range s.Levels {
			if i, ok := slices.BinarySearch(conns, l.Conns); !ok {
				conns = slices.Insert(conns, i, l.Conns)
			}
		}
	}
	return conns
}
