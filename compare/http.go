package main

import (
	"io"
	"net/http"

	"github.com/lesismal/nbio/nbhttp"

	"github.com/switchboard-go/switchboard/web"
)

// The HTTP servers, each with the same handler.
var https = []server{
	{"net/http", "std", func(at string) error { return http.ListenAndServe(at, hello) }},
	{"switchboard/web", ours, serveWeb},
	{"nbio", "github.com/lesismal/nbio", serveNbioHTTP},
}

var hello = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "Hello, world!\n") })

func serveWeb(address string) error {
	s := &web.Server{HTTP: &http.Server{Addr: address, Handler: hello}}
	return s.ListenAndServe()
}

func serveNbioHTTP(address string) error {
	e := nbhttp.NewEngine(nbhttp.Config{Network: "tcp", Addrs: []string{address}, Handler: hello})
	if err := e.Start(); err != nil {
		return err
	}
	select {}
}
