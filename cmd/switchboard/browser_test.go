//go:build unix

package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard/websocket"
)

// A browser is a Chromium that the test drives.
type browser struct {
	t    *testing.T
	port string
}

// openBrowser starts one, and ends it with the test.
func openBrowser(t *testing.T) *browser {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command(installed(t, "chromium"), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
		"--user-data-dir="+dir, "--remote-debugging-port=0", "about:blank")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		cmd.Wait()
		for range 50 { // what its children were still writing
			if os.RemoveAll(dir) == nil {
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
	})
	b := &browser{t: t}
	until(t, "the browser listens", func() bool {
		text, _ := os.ReadFile(filepath.Join(dir, "DevToolsActivePort"))
		b.port, _, _ = strings.Cut(string(text), "\n")
		return b.port != "" && strings.Contains(string(text), "\n")
	})
	return b
}

// A tab is one page, driven by the DevTools protocol.
type tab struct {
	t *testing.T
	c *websocket.Conn

	mu      sync.Mutex
	id      int
	answers map[int]chan json.RawMessage
}

// open opens a page in a tab of its own.
func (b *browser) open(url string) *tab {
	b.t.Helper()
	r, err := http.NewRequest("PUT", "http://127.0.0.1:"+b.port+"/json/new?"+url, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer answer.Body.Close()
	var target struct{ WebSocketDebuggerUrl string }
	if err := json.NewDecoder(answer.Body).Decode(&target); err != nil {
		b.t.Fatal(err)
	}
	p := &tab{t: b.t, answers: map[int]chan json.RawMessage{}}
	opened := make(chan error, 1)
	d := &websocket.Dialer{Options: websocket.Options{MaxMessage: 64 << 20}}
	p.c, err = d.Dial(context.Background(), target.WebSocketDebuggerUrl, &devTools{p, opened})
	if err != nil {
		b.t.Fatal(err)
	}
	if err := <-opened; err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(p.c.Abort)
	return p
}

// devTools is the handler of a tab's WebSocket.
type devTools struct {
	p      *tab
	opened chan error
}

func (d *devTools) Opened(*websocket.Conn) error {
	d.opened <- nil
	return nil
}

func (d *devTools) Message(_ *websocket.Conn, _ websocket.Kind, p []byte) error {
	var m struct{ ID int }
	json.Unmarshal(p, &m)
	d.p.mu.Lock()
	answer := d.p.answers[m.ID]
	delete(d.p.answers, m.ID)
	d.p.mu.Unlock()
	if answer != nil {
		answer <- append(json.RawMessage(nil), p...)
	}
	return nil
}

func (d *devTools) Closed(_ *websocket.Conn, err error) {
	select {
	case d.opened <- fmt.Errorf("the browser hung up: %v", err):
	default:
	}
}

// call has the browser do something, and returns what it answers.
func (p *tab) call(method string, params map[string]any) json.RawMessage {
	p.t.Helper()
	answer := make(chan json.RawMessage, 1)
	p.mu.Lock()
	p.id++
	id := p.id
	p.answers[id] = answer
	p.mu.Unlock()
	text, err := json.Marshal(map[string]any{"id": id, "method": method, "params": params})
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.c.Write(websocket.Text, text); err != nil {
		p.t.Fatal(err)
	}
	select {
	case got := <-answer:
		var m struct {
			Result json.RawMessage
			Error  *struct{ Message string }
		}
		if err := json.Unmarshal(got, &m); err != nil || m.Error != nil {
			p.t.Fatalf("%s: %v %s", method, err, got)
		}
		return m.Result
	case <-time.After(patience):
		p.t.Fatalf("%s is not answered", method)
		return nil
	}
}

// eval returns what an expression of JavaScript is.
func (p *tab) eval(js string) any {
	p.t.Helper()
	var m struct {
		Result           struct{ Value any }
		ExceptionDetails json.RawMessage
	}
	got := p.call("Runtime.evaluate", map[string]any{"expression": js, "returnByValue": true})
	if err := json.Unmarshal(got, &m); err != nil || m.ExceptionDetails != nil {
		p.t.Fatalf("%s: %v %s", js, err, got)
	}
	return m.Result.Value
}

// text returns what an element shows.
func (p *tab) text(id string) string {
	p.t.Helper()
	s, _ := p.eval(`(document.getElementById("` + id + `") || {}).innerText || ""`).(string)
	return s
}

// awaits waits until an element shows something.
func (p *tab) awaits(id, what string) {
	p.t.Helper()
	shown := ""
	for limit := time.Now().Add(2 * patience); !strings.Contains(shown, what); time.Sleep(20 * time.Millisecond) {
		if shown = p.text(id); time.Now().After(limit) {
			p.t.Fatalf("%s does not show %q but\n%s\nstatus: %s", id, what, shown, p.text("status"))
		}
	}
}

// types types text where the focus is, and then keys by their names.
func (p *tab) types(text string, keys ...string) {
	p.t.Helper()
	if text != "" {
		p.call("Input.insertText", map[string]any{"text": text})
	}
	for _, key := range keys {
		codes := map[string]int{"Enter": 13, "Tab": 9}
		params := map[string]any{"type": "keyDown", "key": key, "code": key, "windowsVirtualKeyCode": codes[key]}
		if key == "Enter" {
			params["text"] = "\r"
		}
		p.call("Input.dispatchKeyEvent", params)
		params["type"] = "keyUp"
		delete(params, "text")
		p.call("Input.dispatchKeyEvent", params)
	}
}

// picture takes a picture of the page into the directory that SWITCHBOARD_PICTURES names, if it names one.
func (p *tab) picture(name string, width int, dark bool) {
	p.t.Helper()
	dir := os.Getenv("SWITCHBOARD_PICTURES")
	if dir == "" {
		return
	}
	p.looks(width, dark)
	var m struct{ Data string }
	json.Unmarshal(p.call("Page.captureScreenshot", map[string]any{"format": "png"}), &m)
	p.call("Emulation.clearDeviceMetricsOverride", nil)
	png, err := base64.StdEncoding.DecodeString(m.Data)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644)
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

// looks has the page be shown on a screen of this width, by who prefers dark pages or light ones.
func (p *tab) looks(width int, dark bool) {
	p.t.Helper()
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	p.call("Emulation.setEmulatedMedia", map[string]any{"features": []any{map[string]any{"name": "prefers-color-scheme", "value": scheme}}})
	p.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": 700, "deviceScaleFactor": 1, "mobile": width < 600})
}
