// Package web serves net/http on event loops: an idle keep-alive connection has no goroutine and no buffers.
//
//	server := &web.Server{HTTP: &http.Server{Addr: ":8080", Handler: mux}}
//	log.Fatal(server.ListenAndServe())
//
// Every request is read, handled and answered by the http.Server of the standard library, unmodified, on a goroutine of
// its own as always: handlers may block, flush, hijack, panic. What differs is the time between. A new connection, and a
// connection that waits for its next request, are parked on their loop, where the header of a request is gathered. When it
// is complete the loop wakes the connection: it hands it to http.Server.Serve. When it has been idle for Server.ParkAfter
// after an answer, it is parked again.
//
// The timeouts of http.Server hold while a connection is parked: ReadHeaderTimeout, ReadTimeout and IdleTimeout are
// kept by the loop. Its hooks are called as for any connection: BaseContext, ConnContext once for each connection,
// ConnState without the parking showing. Shutdown, Close and SetKeepAlivesEnabled close parked connections as they close
// idle ones.
//
// HTTP/2 is not served: over TLS, ALPN offers http/1.1.
package web
