package report

import (
	"encoding/json"
	"io"
)

// JSON writes a result for machines: two spaces deep, so that people can look as well.
func JSON(w io.Writer, result any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(result)
}
