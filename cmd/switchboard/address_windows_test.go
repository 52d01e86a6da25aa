package main

import "testing"

func TestADriveBeginsAPath(t *testing.T) {
	for in, want := range map[string]address{
		`C:\run\s.sock`:      {"unix", `C:\run\s.sock`},
		`c:/run/s.sock`:      {"unix", `c:/run/s.sock`},
		`\run\s.sock`:        {"unix", `\run\s.sock`},
		`.\s.sock`:           {"unix", `.\s.sock`},
		`unix:C:\run\s.sock`: {"unix", `C:\run\s.sock`},
		`unix:s.sock`:        {"unix", `./s.sock`},
		"c:7007":             {"tcp", "c:7007"},
	} {
		got, err := parseAddress(in)
		if err != nil || got != want {
			t.Errorf("%q: %+v, %v, want %+v", in, got, err, want)
			continue
		}
		if again, err := parseAddress(got.String()); err != nil || again != got {
			t.Errorf("%q is written %q, which is %+v, %v", in, got, again, err)
		}
	}
}
