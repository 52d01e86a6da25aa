package rawio

import "github.com/switchboard-go/switchboard/internal/winsock"

// Ready tells which of reading and writing would not wait now (WSAPoll). An error or a hang-up is both.
func Ready(fd int, read, write bool) (canRead, canWrite bool) {
	var want int16
	if read {
		want |= winsock.POLLIN
	}
	if write {
		want |= winsock.POLLOUT
	}
	got, errno := winsock.Poll(fd, want)
	if errno != 0 {
		return read, write // it is not a socket: the call will tell
	}
	broken := got&(winsock.POLLERR|winsock.POLLHUP|winsock.POLLNVAL) != 0
	return read && (broken || got&winsock.POLLIN != 0), write && (broken || got&winsock.POLLOUT != 0)
}
