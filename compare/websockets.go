package main

import (
	"net/http"

	coder "github.com/coder/websocket"
	gorilla "github.com/gorilla/websocket"
	"github.com/lesismal/nbio/nbhttp"
	nbiows "github.com/lesismal/nbio/nbhttp/websocket"
	"github.com/lxzan/gws"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/websocket"
)

// The echo servers over WebSocket, without compression: each message is answered with itself.
var websockets = []server{
	{"gorilla", "github.com/gorilla/websocket", serveGorilla},
	{"switchboard/uring", ours, func(at string) error { return serveWebSocket(at, "uring") }},
	{"switchboard/epoll", ours, func(at string) error { return serveWebSocket(at, "epoll") }},
	{"coder", "github.com/coder/websocket", serveCoder},
	{"gws", "github.com/lxzan/gws", serveGws},
	{"nbio", "github.com/lesismal/nbio", serveNbioWebSocket},
}

func serveGorilla(address string) error {
	upgrader := gorilla.Upgrader{}
	return http.ListenAndServe(address, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer c.Close()
		for {
			kind, p, err := c.ReadMessage()
			if err != nil || c.WriteMessage(kind, p) != nil {
				return
			}
		}
	}))
}

func serveWebSocket(address, engine string) error {
	upgrader := &websocket.Upgrader{Handler: websocket.MessageFunc((*websocket.Conn).Write)}
	s := &switchboard.Server{Engine: engine, Accept: upgrader.Accept}
	return s.ListenAndServe(address)
}

func serveCoder(address string) error {
	return http.ListenAndServe(address, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := coder.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		for {
			kind, p, err := c.Read(r.Context())
			if err != nil || c.Write(r.Context(), kind, p) != nil {
				return
			}
		}
	}))
}

type gwsEcho struct{ gws.BuiltinEventHandler }

func (gwsEcho) OnMessage(c *gws.Conn, m *gws.Message) {
	defer m.Close()
	c.WriteMessage(m.Opcode, m.Bytes())
}

func serveGws(address string) error { return gws.NewServer(gwsEcho{}, nil).Run(address) }

func serveNbioWebSocket(address string) error {
	upgrader := nbiows.NewUpgrader()
	upgrader.OnMessage(func(c *nbiows.Conn, kind nbiows.MessageType, p []byte) { c.WriteMessage(kind, p) })
	e := nbhttp.NewEngine(nbhttp.Config{Network: "tcp", Addrs: []string{address},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { upgrader.Upgrade(w, r, nil) })})
	if err := e.Start(); err != nil {
		return err
	}
	select {}
}
