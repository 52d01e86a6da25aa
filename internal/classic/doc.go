// Package classic has the architectures that socket servers are taught with, to be read side by side. All of them serve
// the same services under the same limits:
//
//   - blocking.go: one client at a time
//   - goroutines.go: a goroutine for each client
//   - processes.go: a process for each processor
//   - select.go: one thread that waits in select, with three lists made anew for each call
//   - selectors.go: one thread that waits on a selector: poll, epoll or kqueue
//
// A [Server] says what is served, and a [Mode] how. The rest of the package is what the architectures share:
// converse.go for those that wait for each client by itself, line.go and thread.go for those that wait for all at once.
package classic
