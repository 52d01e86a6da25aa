package zmtp

// Goroutines that wait in Recv are woken by a loop that parks on Go's own poller sooner than by one that has a thread.
const defaultEngine = "epoll"
