// Package access decides which addresses may connect to a switchboard.Server, and how often: lists of networks that are allowed
// or denied, connections at once for each address, and new connections per second for each address. A connection that is
// refused is reset before TLS begins.
//
//	allow, err := access.ParseList("10.0.0.0/8", "2001:db8::/32")
//	if err != nil {
//		log.Fatal(err)
//	}
//	server := &switchboard.Server{
//		Admission: []switchboard.Admitter{access.New(access.Rules{Allow: allow, PerAddress: 20, Rate: 5, Burst: 50})},
//		Handler:   handler,
//	}
//
// Behind a load balancer that speaks the PROXY protocol, put a proxyproto.Receiver in front of it in Admission; then the
// addresses are those of the clients.
package access
