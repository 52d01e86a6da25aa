//go:build unix

package metrics_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"

	"github.com/switchboard-go/switchboard/metrics"
)

// TestPrometheusScrapesTheFigures has a real one ask, and asks it.
func TestPrometheusScrapesTheFigures(t *testing.T) {
	prometheus := program(t, "prometheus")
	s, addresses := serveEcho(t)
	says(t, dial(t, addresses[0]), "hello")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	pages := &http.Server{Handler: metrics.Handler(metrics.Server(s), metrics.Process)}
	go pages.Serve(l)
	t.Cleanup(func() { pages.Close() })

	at := ask(t, prometheus, l.Addr().String())
	query := func(text string) string {
		answer, err := http.Get("http://" + at + "/api/v1/query?query=" + url.QueryEscape(text))
		if err != nil {
			return err.Error()
		}
		defer answer.Body.Close()
		var found struct {
			Data struct{ Result []struct{ Value [2]any } }
		}
		if err := json.NewDecoder(answer.Body).Decode(&found); err != nil {
			return err.Error()
		}
		if len(found.Data.Result) != 1 {
			return fmt.Sprintf("%d results", len(found.Data.Result))
		}
		return fmt.Sprint(found.Data.Result[0].Value[1])
	}
	for text, want := range map[string]string{
		"up": "1",
		`switchboard_connections{state="open",listener="` + addresses[0] + `"}`: "1",
		`switchboard_received_bytes_total`:                                      "5",
		`switchboard_handler_seconds_count`:                                     "1",
		`count(switchboard_handler_seconds_bucket)`:                             "25",
		`histogram_quantile(0.5, switchboard_handler_seconds_bucket) > bool 0`:  "1",
		`process_open_fds > bool 5`:                                             "1",
		`sum(switchboard_connections)`:                                          "1",
	} {
		got := ""
		until(t, text+" is "+want, func() bool {
			got = query(text)
			return got == want
		})
	}
}

// ask starts a Prometheus that scrapes target, until the test ends, and returns its own address.
func ask(t *testing.T, prometheus, target string) (address string) {
	t.Helper()
	dir := t.TempDir()
	config := filepath.Join(dir, "prometheus.yml")
	text := "global: {scrape_interval: 1s}\nscrape_configs: [{job_name: test, static_configs: [{targets: ['" + target + "']}]}]\n"
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(prometheus, "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address=127.0.0.1:0", "--log.format=json")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	found, read := make(chan string, 1), make(chan struct{})
	go func() {
		defer close(read)
		listens := regexp.MustCompile(`"address":"(127\.0\.0\.1:[1-9][0-9]*)".*"Listening on"|"Listening on".*"address":"(127\.0\.0\.1:[1-9][0-9]*)"`)
		for lines := bufio.NewScanner(log); lines.Scan(); {
			if m := listens.FindStringSubmatch(lines.Text()); m != nil {
				select {
				case found <- m[1] + m[2]:
				default:
				}
			}
		}
	}()
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		<-read
		cmd.Wait()
	})
	until(t, "Prometheus listens", func() bool {
		select {
		case address = <-found:
		default:
		}
		return address != ""
	})
	return address
}
