package zmtp

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// A Device passes messages between two sockets: it sends on one what it receives on the other, in both directions if
// the types allow it. XSUB and XPUB make a forwarder, ROUTER and DEALER a queue, PULL and PUSH a streamer.
type Device struct {
	Front, Back *Socket

	// Capture is sent a copy of every message, without waiting for it. nil means none.
	Capture *Socket
}

// Run passes messages until ctx ends or one of the sockets is closed, and returns the reason. It waits while a socket
// takes no more messages, so that its peers slow down and nothing is lost. When ctx ends it still sends the messages
// that it has received. If that would wait, they are lost, and counted in the error. It does not close the sockets.
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
