// Package selector waits for many descriptors at once: which of them can be read or written without blocking? It is what
// Python's selectors module is: one contract over select, poll, epoll, kqueue and Windows' AFD, for any descriptor. A whole echo
// server, with any number of clients in one goroutine:
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
// became ready when it did. So their cost follows the active descriptors, that of the others the registered ones:
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
// What differs beside speed:
//
//   - epoll parks the goroutine that waits on Go's own poller. The others lend a thread to the kernel while they wait,
//     and the Go scheduler takes the processor away from it, within 10 ms at worst.
//   - A descriptor that is closed while registered is never heard of again with epoll and kqueue. With poll and select
//     it is ready for all that was asked, and the next call on it says EBADF. With afd it is not heard of again, unless it
//     was just reported and its number is another socket's at the next Select.
//   - poll, select and afd round a timeout up: to a millisecond, a microsecond and a millisecond. epoll and kqueue take it
//     as it is.
//   - Hangup is epoll's, kqueue's and afd's, and poll's on Linux. afd reports a reset, but not that both sides have ended
//     their output.
//   - kqueue knows Except on macOS, OpenBSD and DragonFly BSD only. With poll and select on these and on FreeBSD and NetBSD
//     it holds until the bytes before the urgent one were read, too.
//   - On macOS select takes descriptors below 1024.
//   - On Windows poll calls a half-close of the peer readiness for Write too, and select does not report a reset to one who
//     waits for Write alone.
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
//	sel.select(t)                  s.Select(t)                  a negative t waits without end, and only asks there
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
//	select.select(r, w, x, t)      Select(r, w, x, t)           a negative t waits without end, and is an error there
//	                                                            numbers of any size; a *BadFDError names a bad one
package selector
