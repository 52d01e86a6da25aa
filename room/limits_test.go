package room

import (
	"bytes"
	"errors"
	"testing"
)

// A smallLink takes no more than limit bytes at once, as a connection with a small Server.QueueLimit.
type smallLink struct {
	handLink
	limit int
}

func (l *smallLink) most() int { return l.limit }

func (l *smallLink) Send(payloads []*Payload) (bool, error) {
	size := 0
	for _, p := range payloads {
		size += len(p.Bytes)
	}
	if size > l.limit {
		return false, errors.New("more than the limit")
	}
	return l.handLink.Send(payloads)
}

func TestNoMoreIsJoinedThanALinkTakesAtOnce(t *testing.T) {
	h := &Hub{Options: Options{Queue: 1 << 20}}
	lp := new(handLoop)
	small := &smallLink{handLink{loop: lp, room: 1000}, 1000}
	s, err := h.Member(small, line, "small").Join("a", nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if _, err := s.Publish(Message{Data: make([]byte, 300)}); err != nil {
			t.Fatal(err)
		}
	}
	lp.run()
	for range 100 {
		small.read(1) // what it is given after the others' turn
	}
	if n := s.Counts(); n.Delivered != 100 || small.expelled {
		t.Errorf("%+v, expelled: %v", n, small.expelled)
	}
	s.Publish(Message{Data: make([]byte, 1001)})
	lp.run()
	if n := s.Counts(); !small.expelled || n.Lost != 1 {
		t.Errorf("after a message that it cannot be sent: %+v, expelled: %v", n, small.expelled)
	}
}

func TestWhoIsRefusedIsReadAgain(t *testing.T) {
	h := &Hub{Options: Options{Queue: 1000, Backlog: 1000}}
	here, there := new(handLoop), new(handLoop)
	speaker, other := &handLink{loop: here, room: 100}, &handLink{loop: there, room: 100}
	s, err := h.Member(speaker, line, "speaker").Join("a", nil)
	if err != nil {
		t.Fatal(err)
	}
	// Alone it waits for nobody: what waits for its own loop is sent when there is no room for more.
	for range 10 {
		if _, err := s.Publish(Message{Data: make([]byte, 900)}); err != nil {
			t.Fatal(err)
		}
	}
	if here.run(); bytes.Count(speaker.got, []byte("\n")) != 10 || speaker.paused {
		t.Fatalf("got %d bytes, paused: %v", len(speaker.got), speaker.paused)
	}
	if _, err := h.Member(other, line, "other").Join("a", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Publish(Message{Data: make([]byte, 100)}); err != nil || speaker.paused {
		t.Fatalf("%v, paused: %v", err, speaker.paused)
	}
	// What waits is little, but too much with this: without a Resume nobody would offer it again.
	if _, err := s.Publish(Message{Data: make([]byte, 900)}); err != ErrBacklog || !speaker.paused {
		t.Fatalf("%v, paused: %v", err, speaker.paused)
	}
	there.run()
	here.run()
	if speaker.paused {
		t.Error("the speaker is not read again")
	}
	if _, err := s.Publish(Message{Data: make([]byte, 900)}); err != nil {
		t.Error(err)
	}
	// As much as a queue holds is not more than an empty backlog takes.
	there.run()
	here.run()
	if _, err := s.Publish(Message{Data: make([]byte, 1000)}); err != nil {
		t.Error(err)
	}
}
