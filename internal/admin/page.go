package admin

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"regexp"
	"strconv"
	"time"

	"github.com/switchboard-go/switchboard/internal/bench/report"
)

//go:embed page.html
var page []byte

//go:embed connections.html
var connectionsText string

// policy lets the pages do what they do, and nothing else: their own scripts and styles, and connections to where they came
// from.
var policy = fmt.Sprintf("default-src 'none'; script-src%s; style-src%s; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
	hashesOf("script"), hashesOf("style"))

func hashesOf(element string) (all string) {
	inside := regexp.MustCompile(`(?s)<` + element + `>(.*?)</` + element + `>`)
	for _, text := range []string{string(page), connectionsText} {
		for _, found := range inside.FindAllStringSubmatch(text, -1) {
			sum := sha256.Sum256([]byte(found[1]))
			all += " 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
		}
	}
	return all
}

// setPage adds the header fields of a page.
func setPage(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", policy)
}

func servePage(w http.ResponseWriter, _ *http.Request) {
	setPage(w)
	w.Header().Set("Content-Length", strconv.Itoa(len(page)))
	w.Write(page)
}

var connectionsPage = template.Must(template.New("connections").Funcs(template.FuncMap{
	"size": func(n any) (string, error) {
		v, err := strconv.ParseFloat(fmt.Sprint(n), 64)
		return report.Size(v), err
	},
	"age": func(seconds float64) string {
		return time.Duration(seconds * float64(time.Second)).Round(time.Second).String()
	},
	"orders": func() []string {
		return []string{"queue", "age", "bytes", "received", "sent"}
	},
}).Parse(connectionsText))
