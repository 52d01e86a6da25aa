//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/md5"
	"fmt"
	"log"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/switchboard-go/switchboard/zmtp"
)

func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// play does what libzmq.c does with the same arguments.
func play(role, address string, size, count int) {
	c := &zmtp.Context{Engine: os.Getenv("ENGINE")}
	ctx := context.Background()
	body := make([]byte, size)
	var m zmtp.Message
	switch role {
	case "push":
		s := must(c.NewSocket(zmtp.PUSH, nil))
		check(s.Connect(address))
		for range count {
			check(s.Send(body))
		}
		check(s.Close())
	case "pull":
		s := must(c.NewSocket(zmtp.PULL, nil))
		must(s.Bind(address))
		for range count {
			check(s.RecvMessage(ctx, &m))
		}
		check(s.Close())
	case "pull-handler":
		done := make(chan struct{})
		n := 0
		s := must(c.NewSocket(zmtp.PULL, &zmtp.Options{Handler: func(*zmtp.Socket, *zmtp.Message) {
			if n++; n == count {
				close(done)
			}
		}}))
		must(s.Bind(address))
		<-done
	case "req":
		s := must(c.NewSocket(zmtp.REQ, nil))
		check(s.Connect(address))
		took := make([]time.Duration, count)
		for i := range count {
			begin := time.Now()
			check(s.Send(body))
			check(s.RecvMessage(ctx, &m))
			took[i] = time.Since(begin)
		}
		slices.Sort(took)
		fmt.Printf("%.2f\n", float64(took[count/2].Nanoseconds())/1e3)
		check(s.Close())
	case "rep":
		s := must(c.NewSocket(zmtp.REP, nil))
		must(s.Bind(address))
		for range count {
			check(s.RecvMessage(ctx, &m))
			check(s.Send(m.Parts...))
		}
		check(s.Close())
	case "pub", "idle":
		subs := must(strconv.Atoi(os.Getenv("SUBS")))
		subscribed := make(chan struct{}, subs)
		o := zmtp.Options{XPubVerbose: true, Handler: func(*zmtp.Socket, *zmtp.Message) { subscribed <- struct{}{} }}
		if role == "pub" {
			o.SendHighWater = -1
		}
		s := must(c.NewSocket(zmtp.XPUB, &o))
		must(s.Bind(address))
		before := resident()
		for range subs {
			<-subscribed
		}
		if role == "idle" {
			debug.FreeOSMemory()
			fmt.Println(resident() - before)
			return
		}
		for range count {
			check(s.Send(body))
		}
		check(s.Close())
	case "subs": // so many subscribers, which count what comes together
		subs := must(strconv.Atoi(os.Getenv("SUBS")))
		var wg sync.WaitGroup
		wg.Add(subs * max(count, 1))
		for i := range subs {
			s := must(c.NewSocket(zmtp.SUB, &zmtp.Options{Handler: func(*zmtp.Socket, *zmtp.Message) { wg.Done() }}))
			topic := ""
			if os.Getenv("TOPICS") != "" {
				topic = fmt.Sprintf("%x", md5.Sum([]byte(strconv.Itoa(i))))
			}
			check(s.Subscribe(topic))
			check(s.Connect(address))
		}
		wg.Wait()
	default:
		log.Fatalf("unknown role %q", role)
	}
}

// resident returns the process's resident memory, but for the pages of its files.
func resident() int {
	fields := bytes.Fields(must(os.ReadFile("/proc/self/statm")))
	return (must(strconv.Atoi(string(fields[1]))) - must(strconv.Atoi(string(fields[2])))) * os.Getpagesize()
}
