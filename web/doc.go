// Package web runs an http.Server of net/http on event loops. An idle keep-alive connection has no goroutine and no
// buffers.
//
//	mux := http.NewServeMux()
//	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello\n") })
//	server := &web.Server{HTTP: &http.Server{Addr: "127.0.0.1:8080", Handler: mux}}
//	log.Fatal(server.ListenAndServe())
//
// The http.Server of the standard library reads, handles and answers every request, unmodified, on a goroutine of its
// own. Handlers may block, flush, hijack and panic. Only the time between requests differs: a new connection, and a
// connection that waits for its next request, is parked on an event loop. The loop gathers the header of a request.
// When the header is complete, the loop passes the connection to http.Server.Serve. When the connection has been idle
// for Server.ParkAfter after an answer, it is parked again.
//
// The timeouts of http.Server also apply to parked connections: ReadHeaderTimeout, ReadTimeout and IdleTimeout. Its
// hooks are called as usual: BaseContext; ConnContext once for each connection; ConnState, which does not show
// parking. Shutdown, Close and SetKeepAlivesEnabled close parked connections as they close idle ones.
//
// The package does not serve HTTP/2: over TLS, ALPN offers http/1.1.
package web
