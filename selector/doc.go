// Package selector waits until one of many descriptors can be read or written without blocking. Like Python's selectors module
// it has one interface to select, poll, epoll, kqueue and AFD of Windows. A complete echo server for any number of clients in
// one goroutine:
//
//	package main
//
//	import (
//		"log"
//
//		"github.com/switchboard-go/switchboard/selector"
//		"github.com/switchboard-go/switchboard/socket"
//	)
//
//	func main() {
//		server, err := socket.CreateServer("127.0.0.1:7007", nil)
//		if err != nil {
//			log.Fatal(err)
//		}
//		sel, err := selector.New()
//		if err != nil {
//			log.Fatal(err)
//		}
//		sel.Register(server.FD(), selector.Read, nil)
//		p := make([]byte, 64<<10)
//		for {
//			ready, err := sel.Select(-1)
//			if err != nil {
//				log.Fatal(err)
//			}
//			for _, r := range ready {
//				client, ok := r.Key.Data.(*socket.Socket)
//				if !ok { // the server
//					if client, _, err := server.Accept(); err == nil {
//						sel.Register(client.FD(), selector.Read, client)
//					}
//					continue
//				}
//				n, err := client.Recv(p)
//				if err == nil {
//					_, err = client.SendAll(p[:n])
//				}
//				if err != nil {
//					sel.Forget(client.FD())
//					client.Close()
//				}
//			}
//		}
//	}
//
// It trusts its clients: one that does not read what it is sent stops SendAll, and with it everybody. The example of
// this package keeps what is unsent and waits to write instead.
//
// # Which mechanism
//
// New takes the best of the platform: epoll on Linux, kqueue on macOS and the BSDs, afd on Windows. The others are there to
// compare and to teach, and poll and select for what epoll and kqueue do not take: regular files. Windows has poll
// (WSAPoll) and select too, and all three of them take sockets only.
//
// With poll and select the kernel looks at every registered descriptor each time; epoll and kqueue have learned of what
// became ready when it did. So the cost of epoll and kqueue grows with the number of active descriptors, that of poll and select
// with the number of registered ones:
//
//	one Select, microseconds        one is active              a tenth are active
//	registered                   epoll   poll   select         epoll   poll   select
//	        10                    0.2     0.6      0.7           0.2     0.6      0.7
//	       100                    0.2     3.9      4.2           0.7     4.1      4.5
//	     1,000                    0.2      42       41           5.0      42       46
//	    10,000                    0.2     690      689            67     765      797
//
// (AMD EPYC, Linux 6.18, 2 cores, UDP sockets; the best of seven.) To measure it again:
//
//	go test -run=- -bench='Select$' -benchtime=30ms -count=7 ./selector
//
// Other differences:
//
//   - epoll waits in Go's own poller, which needs no thread. The others block a thread while they wait; the Go scheduler gives
//     its processor to other goroutines, after at most 10 ms.
//   - If a registered descriptor is closed, epoll and kqueue do not report it again. poll and select report it for all its
//     events, and the next call on it fails with EBADF. afd does not report it again, unless it was just reported and another
//     socket has its number at the next Select.
//   - poll and afd round a timeout up to a millisecond, select to a microsecond. epoll and kqueue do not round.
//   - epoll, kqueue and afd have Hangup, and poll has it on Linux. afd reports a reset, but not that both sides have ended
//     their output.
//   - kqueue has Except on macOS, OpenBSD and DragonFly BSD only. On these, and on FreeBSD and NetBSD, poll and select also
//     report Except until the bytes before the urgent one have been read.
//   - On macOS select takes descriptors below 1024.
//   - On Windows poll also reports Write when the peer half-closes, and select does not report a reset for Write alone.
//
// # From Python
//
//	Python                         here                         what differs
//	-----------------------------  ---------------------------  ----------------------------------------------------
//	DefaultSelector()              New                          New returns an error, as every Selector holds descriptors
//	EpollSelector, KqueueSelector  NewEpoll, NewKqueue          always there; an error where the platform has none
//	PollSelector, SelectSelector   NewPoll, NewSelect           always there, as above
//	DevpollSelector                none
//	EVENT_READ, EVENT_WRITE        Read, Write                  also Except and Hangup
//	sel.register(f, events, data)  s.Register(fd, events, data) a number: an object gives its FD
//	sel.unregister(f)              s.Unregister                 also s.Forget, for one that is closed at once
//	sel.modify(f, events, data)    s.Modify
//	sel.select(), select(None)     s.Select(-1)
//	sel.select(t)                  s.Select(t)                  a negative t means no limit here, and 0 there
//	[(key, events), …]             []Ready                      valid until the next Select
//	sel.get_key(f)                 s.Lookup
//	sel.get_map()                  s.Keys, s.Len                in the order of the descriptors
//	sel.close(), with sel:         s.Close, defer s.Close()     a second Close is an error; wakes a Select
//	none                           s.Wake                       ends a Select from another goroutine
//	SelectorKey                    Key                          FD, Events, Data; fileobj is for Data to keep
//	KeyError                       ErrRegistered                of register
//	KeyError                       ErrNotRegistered             of unregister, modify and get_key
//	ValueError                     ErrNoEvents, EBADF           for no events; for a negative descriptor
//	select.select(r, w, x)         Select(r, w, x, -1)
//	select.select(r, w, x, t)      Select(r, w, x, t)           a negative t means no limit here, and is an error there
//	                                                            numbers of any size; a *BadFDError names a bad one
package selector
