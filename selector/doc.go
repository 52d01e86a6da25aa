// Package selector waits for many descriptors at once: which of them can be read or written without blocking? It is what
// Python's selectors module is: one contract over select, poll, epoll and kqueue, for any descriptor. A whole echo
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
// New takes the best of the platform: epoll on Linux, kqueue on macOS and the BSDs. The others are there to compare and
// to teach, and poll and select for what epoll does not take, such as regular files. On Windows there is none, and every
// way to open one gives an error that wraps errors.ErrUnsupported.
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
//     it is ready for all that was asked, and the next call on it says EBADF.
//   - poll and select round a timeout up to a millisecond and a microsecond; epoll and kqueue take it as it is.
//   - Hangup is epoll's and kqueue's, and poll's on Linux. select has no list for it.
//   - kqueue knows Except on macOS, OpenBSD and DragonFly BSD only. On macOS select takes descriptors below 1024.
package selector
