// Package proxyproto reads and writes the header of the PROXY protocol, versions 1 and 2. A load balancer or proxy sends it in
// front of a connection, before TLS, to say for which client the connection is: HAProxy (send-proxy, send-proxy-v2), nginx
// (proxy_protocol on), Envoy and the load balancers of the clouds do. The specification is
// https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt.
//
// A Receiver has a switchboard.Server read the header of the connections that come from named addresses, and only of those:
// whoever else could send one could pretend to be anybody.
//
//	server := &switchboard.Server{
//		Admission: []switchboard.Admitter{&proxyproto.Receiver{
//			From: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24")}, // the load balancers
//		}},
//		Handler: switchboard.DataFunc(func(c *switchboard.Conn, p []byte) (int, error) {
//			log.Print("a message of ", c.RemoteAddr()) // the client's address
//			return len(p), nil
//		}),
//	}
//
// To send a header, write what For and Header.Append make before anything else. Forward is For behind another proxy.
package proxyproto
