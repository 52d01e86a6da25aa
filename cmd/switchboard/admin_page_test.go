//go:build unix

package main

import (
	"net"
	"strings"
	"sync"
	"testing"
)

// adminURL returns where the admin page of a server is.
func adminURL(s *server) string {
	s.t.Helper()
	return strings.TrimPrefix(s.await("admin page at ", 1)["msg"].(string), "admin page at ")
}

// chatter has clients say something until the test ends, each waiting for its answer.
func chatter(t *testing.T, s *server, clients int) {
	var wait sync.WaitGroup
	done := make(chan struct{})
	for range clients {
		conn, err := net.Dial("tcp", s.addrs[0])
		if err != nil {
			t.Fatal(err)
		}
		wait.Go(func() {
			defer conn.Close()
			for {
				select {
				case <-done:
					return
				default:
				}
				if err := roundTrip(conn, []byte("hello")); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	t.Cleanup(func() {
		close(done)
		wait.Wait()
	})
}

// TestTheDashboardDrawsWhatGoesOn looks at it in a browser: light, dark, and on a narrow screen.
func TestTheDashboardDrawsWhatGoesOn(t *testing.T) {
	b := openBrowser(t)
	s := serve(t, "echo", "--admin=127.0.0.1:0", "--admin-write")
	chatter(t, s, 3)
	deaf := client(t, s) // what it is sent fills its queue
	go deaf.Write(make([]byte, 64<<20))

	p := b.open(adminURL(s))
	p.call("Page.enable", nil)
	p.awaits("status", "Ready")
	p.awaits("service", "echo")
	p.awaits("listeners", s.addrs[0])
	p.awaits("tiles", "4 accepted")
	p.awaits("paused", "the peer reads slowly")
	until(t, "a rate of messages is shown", func() bool {
		return p.eval(`(() => { const t = tiles.find(t => t.name === "Messages"); return t.points.length > 2 && t.points.at(-1)[0] > 0; })()`) == true
	})
	until(t, "turns and handlers are measured", func() bool {
		return p.eval(`tiles.filter(t => t.name.endsWith("p99") && t.points.length && t.points.at(-1)[1] > 0).length`) == 2.0
	})
	inked := `(() => { const c = tiles[2].canvas; return c.getContext("2d").getImageData(0, 0, c.width, c.height - 2).data.some(v => v); })()`
	until(t, "the chart is drawn", func() bool { return p.eval(inked) == true })
	for _, width := range []int{1200, 400} {
		for _, dark := range []bool{false, true} {
			scheme := map[bool]string{false: "light", true: "dark"}[dark]
			p.looks(width, dark)
			if got, _ := p.eval(`document.documentElement.scrollWidth`).(float64); got > float64(width) || got < 300 {
				t.Errorf("%s: the page is %v wide on a screen of %d", scheme, got, width)
			}
			color, _ := p.eval(`getComputedStyle(document.body).backgroundColor`).(string)
			if white := color == "rgb(246, 248, 250)"; white == dark {
				t.Errorf("%s: the page is %s", scheme, color)
			}
			p.picture("dashboard-"+scheme+"-"+map[int]string{1200: "wide", 400: "narrow"}[width], width, dark)
		}
	}

	p.eval(`document.querySelector('#level').value = "WARN"; document.querySelector('#level-form button').click()`)
	p.awaits("done", "the level is WARN")

	q := b.open(adminURL(s) + "connections")
	q.call("Page.enable", nil)
	until(t, "the connections are listed", func() bool { return q.eval(`document.querySelectorAll("button[data-id]").length`) == 4.0 })
	q.picture("connections", 1200, false)
	q.eval(`[...document.querySelectorAll("tr")].find(r => r.innerText.includes("output")).querySelector("button").click()`)
	until(t, "the one that reads nothing is closed", func() bool {
		_, err := deaf.Write([]byte("x"))
		return err != nil
	})
	p.awaits("paused", "all connections are read")
	p.awaits("closed", "aborted")
}
