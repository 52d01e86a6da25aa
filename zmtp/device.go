package zmtp

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// A Device carries messages between two sockets: what one receives is sent by the other, both ways as far as the sockets'
// types do both. A forwarder is an XSUB and an XPUB, a queue a ROUTER and a DEALER, a streamer a PULL and a PUSH.
type Device struct {
	Front, Back *Socket

	// Capture, if there is one, is sent a copy of every message, and never waited for. nil: nothing is.
	Capture *Socket
}

// Run carries messages until ctx ends or one of the sockets is closed, and then returns why. It waits for a socket that
// takes no more, so that its peers feel it and nothing is lost; what it has received when ctx ends is still sent, or if
// that would wait, counted in its error. It does not close the sockets.
func (d Device) Run(ctx context.Context) error {
	if d.Front == nil || d.Back == nil {
		return errors.New("zmtp: a Device needs two sockets")
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	began := false
	for _, way := range [][2]*Socket{{d.Front, d.Back}, {d.Back, d.Front}} {
		if from, to := way[0], way[1]; traits[from.typ].recvs && traits[to.typ].sends {
			began = true
			wg.Go(func() { cancel(d.carry(ctx, from, to)) })
		}
	}
	if !began {
		return fmt.Errorf("zmtp: a Device of a %v and a %v: neither can send what the other receives", d.Front.typ, d.Back.typ)
	}
	wg.Wait()
	return context.Cause(ctx)
}

func (d Device) carry(ctx context.Context, from, to *Socket) error {
	var m Message
	for {
		if err := from.RecvMessage(ctx, &m); err != nil {
			return err
		}
		if d.Capture != nil {
			d.Capture.TrySend(&m)
		}
		err := to.TrySend(&m)
		if err == ErrWouldBlock {
			err = to.SendMessage(ctx, &m)
		}
		if err != nil && !errors.Is(err, ErrUnreachable) {
			if ctx.Err() != nil {
				err = fmt.Errorf("1 message was received and not sent: %w", err)
			}
			return err
		}
	}
}
