// Package socket has the Berkeley socket calls: bind, listen, accept, connect, send and recv on IPv4, IPv6 and Unix
// sockets, all options, messages with control data, descriptors passed between processes, multicast, raw sockets, and
// datagrams in batches. The calls do what C and Python programmers expect. Errors, timeouts and goroutines work as in
// package net.
//
// Use it for calls that package net does not have, for sockets that wait with package selector, and to learn. An echo
// server and its client:
//
//	package main
//
//	import (
//		"context"
//		"fmt"
//		"io"
//		"log"
//
//		"github.com/switchboard-go/switchboard/socket"
//	)
//
//	func main() {
//		server, err := socket.CreateServer("127.0.0.1:0", nil)
//		if err != nil {
//			log.Fatal(err)
//		}
//		defer server.Close()
//		go serve(server)
//
//		address, err := server.LocalAddr()
//		if err != nil {
//			log.Fatal(err)
//		}
//		client, err := socket.CreateConnection(context.Background(), address.String(), nil)
//		if err != nil {
//			log.Fatal(err)
//		}
//		defer client.Close()
//		if _, err := client.SendAll([]byte("hello, world\n")); err != nil {
//			log.Fatal(err)
//		}
//		client.Shutdown(socket.SHUT_WR) // no more from us
//		reply, err := io.ReadAll(client)
//		if err != nil {
//			log.Fatal(err)
//		}
//		fmt.Printf("%s", reply)
//	}
//
//	func serve(server *socket.Socket) {
//		for {
//			conn, _, err := server.Accept()
//			if err != nil {
//				return
//			}
//			go func() {
//				defer conn.Close()
//				p := make([]byte, 4096)
//				for {
//					n, err := conn.Recv(p)
//					if err != nil { // io.EOF when the client has no more
//						return
//					}
//					if _, err := conn.SendAll(p[:n]); err != nil {
//						return
//					}
//				}
//			}()
//		}
//	}
//
// # Three modes
//
// A new Socket is in blocking mode: a call waits until it can complete. Only the goroutine waits, not a thread, so
// thousands of calls can wait. SetTimeout limits the time that a call waits. After SetBlocking(false) calls do not wait:
// they fail with ErrWouldBlock, Connect with ErrInProgress, and package selector reports when to repeat them. Close wakes
// the calls of other goroutines, which return net.ErrClosed.
//
// # Errors
//
// Every error is an *Error, which has the call, the address and the cause, and unwraps to the errno:
// errors.Is(err, syscall.ECONNREFUSED). The end of a stream is a bare io.EOF. Sending on a connection that has ended fails
// with EPIPE; there is no SIGPIPE.
//
// # From Python
//
//	Python                        here                          what differs
//	----------------------------  ----------------------------  ---------------------------------------------------
//	socket(family, type, proto)   New                           no defaults: name the family and the type
//	SOCK_NONBLOCK, SOCK_CLOEXEC   New, Pair                     on every system; Type does not show them, as there
//	socketpair()                  Pair
//	socket(fileno=fd)             FromFD                        takes the descriptor over, as there
//	fromfd(fd, …)                 FromFD of a duplicate
//	create_connection             CreateConnection              tries addresses at the same time (RFC 8305); its
//	                                                            timeout does not stay with the socket; refuses to
//	                                                            connect a socket with itself
//	create_server                 CreateServer                  also Unix sockets; without a host IPv4 and IPv6 at once
//	s.bind((host, port))          s.Bind(Addr)                  an Addr is numeric: ParseAddr, GetAddrInfo
//	(host, port, flow, scope)     Addr.WithFlowInfo, FlowInfo   the scope is the zone: [fe80::1%eth0]:7
//	(cid, port), (pid, groups),   VsockAddr, NetlinkAddr,       Linux
//	(ifname, proto, …)            PacketAddr
//	s.listen()                    s.Listen(backlog)
//	s.accept()                    s.Accept
//	s.connect, s.connect_ex       s.Connect                     the errno is in the error
//	s.send, s.sendall             s.Send, s.SendAll             SendAll also returns how many bytes were sent
//	s.sendall(data, flags)        s.SendAllFlags
//	s.recv(n)                     s.Recv(p)                     into a buffer; the end is io.EOF, not an empty result
//	s.recv_into                   s.Recv, s.RecvFlags
//	s.recv(n, MSG_PEEK)           s.RecvFlags(p, MSG_PEEK)
//	s.recv(n, MSG_WAITALL)        s.RecvFlags(p, MSG_WAITALL)   also with a timeout, and in every receiving call; when
//	                                                            the stream ends first, n with io.EOF
//	s.sendto, s.recvfrom          s.SendTo, s.RecvFrom          flags: s.SendToFlags, s.RecvFromFlags
//	s.recvfrom_into               s.RecvFrom
//	s.sendmsg, s.recvmsg          s.SendMsg, s.RecvMsg
//	s.recvmsg_into                s.RecvMsg
//	CMSG_LEN, CMSG_SPACE          ControlLen, ControlSpace
//	send_fds, recv_fds            s.SendFDs, s.RecvFDs          lost descriptors are an error, and never leak
//	… with flags and address      s.SendFDsTo, s.RecvFDsFrom
//	s.sendfile(file)              s.SendFile                    leaves the file's own position alone
//	none                          s.SendBatch, s.RecvBatch      many datagrams in one call, on Linux
//	s.shutdown(SHUT_WR)           s.Shutdown(SHUT_WR)
//	s.close, with s:              s.Close, defer s.Close()      wakes calls that wait; a second Close is an error
//	s.detach()                    s.Detach                      the number may be new
//	s.dup()                       s.Dup
//	s.fileno()                    s.FD                          -1 once closed, as there
//	s.makefile()                  s.MakeFile                    bytes, both ways; Flush or Close it, or nothing is sent
//	s.setblocking, s.getblocking  s.SetBlocking, s.Timeout
//	s.settimeout(None, 0, t)      s.SetTimeout(-1, 0, t)
//	s.gettimeout                  s.Timeout                     -1 for None
//	setdefaulttimeout             none                          every socket starts in blocking mode
//	socket.timeout, TimeoutError  os.ErrDeadlineExceeded        with errors.Is
//	BlockingIOError               ErrWouldBlock, ErrInProgress  with errors.Is
//	s.getsockname, s.getpeername  s.LocalAddr, s.PeerAddr
//	s.getsockopt, s.setsockopt    s.Option, s.SetOption         also …Bool and …Bytes, s.SetLinger, and a method for
//	                                                            each usual option: s.SetReuseAddr, s.SetNoDelay, …
//	getsockopt(…, SO_ERROR)       s.SocketError                 an error or nil
//	… SO_RCVTIMEO, SO_SNDTIMEO    s.SetTimeout                  the options are refused: they would have no effect
//	… IP_ADD_MEMBERSHIP, mreq     s.JoinGroup, s.LeaveGroup     an interface by its name, IPv4 and IPv6 alike
//	… IP_ADD_SOURCE_MEMBERSHIP    s.JoinSource, s.LeaveSource   also s.BlockSource, s.UnblockSource
//	… IP_MULTICAST_IF, _TTL,      s.SetMulticastInterface,      IPV6_MULTICAST_… too
//	_LOOP                         s.SetMulticastTTL, …Loop
//	… TCP_INFO                    s.TCPInfo                     a structure, not bytes; Linux
//	… SO_PEERCRED                 s.PeerCredentials             not on OpenBSD and Windows
//	… SO_PASSCRED                 s.SetPassCredentials          then Message.Credentials; Linux
//	s.family, s.type, s.proto     s.Family, s.Type, s.Proto
//	s.set_inheritable             s.SetInheritable, Inheritable off at first, as there
//	getaddrinfo                   GetAddrInfo                   flags are ours, not the system's numbers
//	gaierror, herror              EAI_NONAME, …                 with errors.Is
//	getnameinfo                   GetNameInfo
//	gethostname                   GetHostName
//	getfqdn                       GetFQDN
//	gethostbyname, …_ex           GetHostByName
//	gethostbyaddr                 GetHostByAddr
//	getservbyname, getservbyport  GetServByName, GetServByPort
//	getprotobyname                GetProtoByName
//	htons, htonl, ntohs, ntohl    Htons, Htonl, Ntohs, Ntohl    or better, encoding/binary
//	inet_pton, inet_ntop          InetPton, InetNtop            or better, net/netip
//	inet_aton, inet_ntoa          InetAton, InetNtoa            GetAddrInfo and CreateConnection read "127.1" too
//	if_nameindex                  IfNameIndex                   or better, net.Interfaces
//	if_nametoindex, …indextoname  IfNameToIndex, IfIndexToName
//	ssl.wrap_socket               s.Conn, then crypto/tls
//
// Receiving into an empty buffer returns 0 at once; that is not the end of the stream. On a datagram socket RecvFrom and
// RecvMsg then take one datagram.
//
// # Platforms
//
// The package supports Linux, macOS, the BSDs, and Windows 10 and later. Calls that a system does not have return an error
// that wraps errors.ErrUnsupported. On Windows Unix sockets are streams only and cannot pass descriptors, and Pair is TCP over
// loopback. See docs/platforms.md.
package socket
