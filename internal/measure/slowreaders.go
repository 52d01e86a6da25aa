package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// slowReaders has very many clients ask for more through a proxy than they read, and looks at the proxy's memory.
func slowReaders(flags *flag.FlagSet) func(context.Context) (bool, error) {
	clients := flags.Int("clients", 200, "clients")
	size := flags.Int("size", 64<<20, "bytes that each asks for")
	rate := flags.Int("rate", 256<<10, "bytes that each reads in a second")
	length := flags.Duration("for", 20*time.Second, "that is measured (what is asked for takes -size/-rate seconds in all)")
	return func(ctx context.Context) (bool, error) {
		target, err := generous(*size)
		if err != nil {
			return false, err
		}
		defer target.Close()
		s, err := start("proxy", target.Addr().String())
		if err != nil {
			return false, err
		}
		defer s.stop()
		ctx, cancel := context.WithTimeout(ctx, *length)
		defer cancel()
		var (
			all      sync.WaitGroup
			received atomic.Int64
			failed   atomic.Pointer[error]
		)
		for range *clients {
			conn, err := net.Dial("tcp", s.address)
			if err != nil {
				return false, err
			}
			defer conn.Close()
			all.Go(func() {
				if err := readSlowly(ctx, conn, *rate, &received); err != nil {
					failed.Store(&err)
				}
			})
		}
		all.Wait()
		if err := failed.Load(); err != nil {
			return false, *err
		}
		peak, err := s.peak()
		if err != nil {
			return false, err
		}
		fmt.Printf("%d clients that read %d KB/s of %d MB each: the proxy had %.1f MB resident at most, and passed on %d MB\n",
			*clients, *rate>>10, *size>>20, float64(peak)/(1<<20), received.Load()>>20)
		return peak < 64<<20, nil
	}
}

// generous is a target that sends so many bytes to whoever connects, as fast as they are taken.
func generous(size int) (net.Listener, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				piece := make([]byte, 64<<10)
				for left := size; left > 0; left -= len(piece) {
					if _, err := conn.Write(piece[:min(left, len(piece))]); err != nil {
						return
					}
				}
			}()
		}
	}()
	return l, nil
}

// readSlowly reads until ctx ends, or everything has come.
func readSlowly(ctx context.Context, conn net.Conn, rate int, received *atomic.Int64) error {
	const beats = 8 // in a second
	piece := make([]byte, rate/beats)
	beat := time.NewTicker(time.Second / beats)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-beat.C:
		}
		n, err := io.ReadFull(conn, piece)
		received.Add(int64(n))
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
