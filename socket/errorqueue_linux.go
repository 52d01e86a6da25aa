package socket

import "golang.org/x/sys/unix"

// errorQueue is the flag of calls that receive from the queue of errors, where nobody waits: recv(2).
const errorQueue = unix.MSG_ERRQUEUE
