// Package deploy holds the files by which Switchboard is run as a service: see docs/operate.md.
package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	return path
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestTheUnitsAreSound has systemd look at the units, and say how much the service can do: 0 is nothing, 10 everything.
func TestTheUnitsAreSound(t *testing.T) {
	analyze := program(t, "systemd-analyze")
	dir := t.TempDir()
	var units []string
	for _, name := range []string{"switchboard.service", "switchboard.socket"} {
		text := strings.ReplaceAll(read(t, "systemd/"+name), "/usr/local/bin/switchboard", "/bin/true") // which is there
		units = append(units, filepath.Join(dir, name))
		if err := os.WriteFile(units[len(units)-1], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command(analyze, append([]string{"verify", "--man=no"}, units...)...).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v\n%s", err, out)
	}
	out, err := exec.Command(analyze, "security", "--no-pager", "--offline=true", "--threshold=20", units[0]).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestTheFilesOfTheImageAreThere(t *testing.T) {
	text := read(t, "docker/Dockerfile")
	copies := regexp.MustCompile(`(?m)^COPY (\S+) `).FindAllStringSubmatch(text, -1)
	for _, found := range copies {
		if strings.HasPrefix(found[1], "--from") {
			continue
		}
		if _, err := os.Stat(filepath.Join("..", found[1])); err != nil {
			t.Error(err)
		}
	}
	mod := read(t, "../go.mod")
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(mod)[1]
	if len(copies) < 4 || !strings.Contains(text, "FROM golang:"+version+" AS build") {
		t.Errorf("%d files are copied, and the module needs Go %s", len(copies), version)
	}
}
