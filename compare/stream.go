package main

import (
	"context"
	"io"
	"net"

	"github.com/cloudwego/netpoll"
	"github.com/lesismal/nbio"
	"github.com/panjf2000/gnet/v2"

	"github.com/switchboard-go/switchboard"
)

// The echo servers of bytes: what a connection receives is written back to it.
var streams = []server{
	{"net", "std", serveNet},
	{"switchboard/uring", ours, func(at string) error { return serveSwitchboard(at, "uring") }},
	{"switchboard/epoll", ours, func(at string) error { return serveSwitchboard(at, "epoll") }},
	{"gnet", "github.com/panjf2000/gnet/v2", serveGnet},
	{"nbio", "github.com/lesismal/nbio", serveNbio},
	{"netpoll", "github.com/cloudwego/netpoll", serveNetpoll},
}

func serveNet(address string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			buf := make([]byte, 16<<10)
			for {
				n, err := c.Read(buf)
				if err != nil {
					return
				}
				if _, err := c.Write(buf[:n]); err != nil {
					return
				}
			}
		}()
	}
}

func serveSwitchboard(address, engine string) error {
	echo := switchboard.DataFunc((*switchboard.Conn).Write)
	s := &switchboard.Server{
		Engine: engine,
		Accept: func(*switchboard.Conn) (switchboard.Handler, error) { return echo, nil },
	}
	return s.ListenAndServe(address)
}

type gnetEcho struct{ gnet.BuiltinEventEngine }

func (*gnetEcho) OnTraffic(c gnet.Conn) gnet.Action {
	p, err := c.Next(-1)
	if err != nil {
		return gnet.Close
	}
	if _, err := c.Write(p); err != nil {
		return gnet.Close
	}
	return gnet.None
}

func serveGnet(address string) error {
	return gnet.Run(&gnetEcho{}, "tcp://"+address, gnet.WithMulticore(true))
}

func serveNbio(address string) error {
	e := nbio.NewEngine(nbio.Config{Network: "tcp", Addrs: []string{address}})
	e.OnData(func(c *nbio.Conn, p []byte) { c.Write(p) })
	if err := e.Start(); err != nil {
		return err
	}
	select {}
}

func serveNetpoll(address string) error {
	l, err := netpoll.CreateListener("tcp", address)
	if err != nil {
		return err
	}
	loop, err := netpoll.NewEventLoop(func(_ context.Context, c netpoll.Connection) error {
		r, w := c.Reader(), c.Writer()
		p, err := r.Next(r.Len())
		if err != nil {
			return err
		}
		if _, err := w.WriteBinary(p); err != nil {
			return err
		}
		if err := w.Flush(); err != nil {
			return err
		}
		return r.Release()
	})
	if err != nil {
		return err
	}
	if err := loop.Serve(l); err != nil {
		return err
	}
	return io.EOF
}
