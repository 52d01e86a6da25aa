// Package handler has the services as handlers of the event loop: those of package service, and a service of lines that
// has no other home.
package handler

import (
	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/internal/service"
)

// Accept returns the Accept of a switchboard.Server for a service. One that only answers has one handler for everybody;
// one that speaks has a handler for each connection, which remembers how far it has come.
func Accept(s service.Service) func(*switchboard.Conn) (switchboard.Handler, error) {
	if s.Speech != nil {
		return func(c *switchboard.Conn) (switchboard.Handler, error) {
			h := &speech{words: s.Speech()}
			h.speak(c)
			return h, nil
		}
	}
	h := newAnswers(s)
	return func(*switchboard.Conn) (switchboard.Handler, error) { return h, nil }
}

// answers is the handler of connections to a service that only answers.
type answers struct {
	switchboard.DataFunc
	kind string
}

func newAnswers(s service.Service) *answers {
	if s.Answer == nil {
		return &answers{discard, s.Name}
	}
	return &answers{answer(s.Answer), s.Name}
}

func discard(_ *switchboard.Conn, p []byte) (int, error) { return len(p), nil }

// answer says what a service answers to all that it is offered.
func answer(to func(p []byte) []byte) switchboard.DataFunc {
	return func(c *switchboard.Conn, p []byte) (int, error) {
		_, err := c.Write(to(p))
		if err == switchboard.ErrQueueFull {
			return 0, nil // the same is offered again when there is room
		}
		return len(p), err
	}
}
