//go:build linux

package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"
)

// TestMain is the program itself when a table starts it to serve.
func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == "serve" {
		fail(serve(os.Args[2], os.Args[3]))
		return
	}
	os.Exit(m.Run())
}

func TestEveryServerAnswersItsLoads(t *testing.T) {
	l := length{rounds: 1, slice: 200 * time.Millisecond, settle: 50 * time.Millisecond, idle: 100}
	for _, table := range tables {
		t.Run(table.name, func(t *testing.T) {
			for i := range table.columns { // few, for a busy machine
				table.columns[i].conns = min(table.columns[i].conns, 50)
			}
			rows, err := table.measure(t.Context(), l, func(int, int, string) {})
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			if err := table.write(&out, rows, l); err != nil {
				t.Fatal(err)
			}
			for _, s := range table.servers {
				row := "\n| " + strings.TrimSpace(s.name+" "+version(s.path)) + " | "
				if !strings.Contains(out.String(), row) {
					t.Errorf("%q is not in\n%s", row, &out)
				}
			}
		})
	}
}

func TestTheSmallestFiguresAreBoldAndTheSpreadIsShown(t *testing.T) {
	table := table{title: "T", servers: []server{{name: "first"}, {name: "second"}}, columns: []column{{title: "a"}, {title: "b"}}}
	rows := []row{
		{server: table.servers[0], cells: []cell{{1, 1, 1}, {1, 1, 1}}, idle: 8760},
		{server: table.servers[1], cells: []cell{{0.4, 0.5, 0.61}, {1.2, 1.3, 1.4}}, idle: 314},
	}
	var out bytes.Buffer
	if err := table.write(&out, rows, length{rounds: 7}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| | a | b | bytes of an idle connection |\n|---|---|---|---|\n",
		"| first | 1 | **1** | 8,800 |\n",
		"| second | **0.50** (0.40–0.61) | 1.30 (1.20–1.40) | **314** |\n",
		"ratio to first; 7 paired rounds",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, &out)
		}
	}
}

func TestAServerThatFailsFailsTheTable(t *testing.T) {
	table := tables[0]
	table.servers = []server{table.servers[0], {name: "none", serve: nil}}
	_, err := table.measure(t.Context(), length{rounds: 1, slice: 50 * time.Millisecond}, func(int, int, string) {})
	if want := "there is no server echo/none"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("it failed with %v, not with %q", err, want)
	}
	if err := serve("echo/none", "127.0.0.1:0"); err == nil {
		t.Error("a server that does not exist was served")
	}
}
