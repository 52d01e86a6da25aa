package handler

import (
	"fmt"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/internal/service"
	"github.com/switchboard-go/switchboard/websocket"
)

// state is what a handler says of a connection to another process when it remembers nothing of it: its kind.
func state(kind string) (switchboard.HandlerState, error) {
	return switchboard.HandlerState{Kind: kind}, nil
}

// check tells why what came over is not of a kind.
func check(kind string, from switchboard.HandlerState) error {
	if from.Kind != kind || from.Version != 0 {
		return fmt.Errorf("%q of version %d came over, this is %q of version 0", from.Kind, from.Version, kind)
	}
	return nil
}

// Move implements switchboard.Mover.
func (h *answers) Move(*switchboard.Conn) (switchboard.HandlerState, error) { return state(h.kind) }

// Move implements switchboard.Mover.
func (h *lines) Move(*switchboard.Conn) (switchboard.HandlerState, error) { return state(linesKind) }

const linesKind = "lines"

// MovesEarly implements switchboard.EarlyMover.
func (h *answers) MovesEarly(*switchboard.Conn) bool { return true }

// MovesEarly implements switchboard.EarlyMover.
func (h *lines) MovesEarly(*switchboard.Conn) bool { return true }

// MovesEarly implements websocket.EarlyMover.
func (h *messages) MovesEarly(*websocket.Conn) bool { return true }

// Move implements websocket.Mover.
func (h *messages) Move(*websocket.Conn) (switchboard.HandlerState, error) { return state(h.kind) }

// Moved is the Moved of a switchboard.Server for a service. Connections that are told something unasked do not move.
func Moved(s service.Service) func(*switchboard.Conn, switchboard.HandlerState) (switchboard.Handler, error) {
	if s.Speech != nil {
		return nil
	}
	h := newAnswers(s)
	return func(_ *switchboard.Conn, from switchboard.HandlerState) (switchboard.Handler, error) {
		return h, check(h.kind, from)
	}
}

// LinesMoved is the Moved of a switchboard.Server for what Lines returned.
func LinesMoved(h switchboard.Handler) func(*switchboard.Conn, switchboard.HandlerState) (switchboard.Handler, error) {
	return func(_ *switchboard.Conn, from switchboard.HandlerState) (switchboard.Handler, error) {
		return h, check(linesKind, from)
	}
}

// MessagesMoved is the MovedHandler of an Upgrader for what Messages returned, and for Shout. Nil: its WebSockets do not move.
func MessagesMoved(h websocket.Handler) func(*websocket.Conn, switchboard.HandlerState) (websocket.Handler, error) {
	m, ok := h.(*messages)
	if !ok {
		return nil
	}
	return func(_ *websocket.Conn, from switchboard.HandlerState) (websocket.Handler, error) {
		return m, check(m.kind, from)
	}
}
