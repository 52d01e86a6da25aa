// Package uring makes io_uring rings: Linux's queues of system calls, shared with the kernel, that one system call serves
// for many. It is for the event loops of this module, is pure Go, and has no dependency but golang.org/x/sys.
//
// A ring that accepts connections and prints what they send:
//
//	runtime.LockOSThread() // IORING_SETUP_SINGLE_ISSUER: one thread enters the ring
//	ring, err := uring.New(uring.Config{Entries: 256, Flags: uring.IORING_SETUP_SINGLE_ISSUER | uring.IORING_SETUP_DEFER_TASKRUN})
//	if err != nil {
//		return err // names what the kernel lacks, or who forbids it
//	}
//	defer ring.Close()
//	buffers, err := ring.NewBuffers(0, 16, 64<<10, uring.Incremental)
//	if err != nil {
//		return err
//	}
//	ring.Next().AcceptMultishot(listener, unix.SOCK_CLOEXEC, 0) // user data 0: the listener
//	for {
//		if err := ring.Wait(1, -1); err != nil { // one system call: submits, and waits for a completion
//			return err
//		}
//		for c := range ring.Completions {
//			switch {
//			case c.UserData == 0 && c.Res >= 0: // a connection; its descriptor is the user data of what it receives
//				ring.Next().RecvMultishot(int(c.Res), buffers, uint64(c.Res))
//			case c.Res > 0:
//				for p := range buffers.Received(c) {
//					fmt.Printf("%d: %q\n", c.UserData, p)
//				}
//				buffers.Release(c)
//			case c.UserData != 0 && !c.More():
//				unix.Close(int(c.UserData))
//			}
//		}
//	}
//
// # Memory that the kernel holds
//
// A submission carries addresses as numbers, which the garbage collector does not see. What Send and the like are given
// must stay where it is, reachable, until the operation's last completion: memory from [Map], which is not Go's at all, or
// memory pinned by a [runtime.Pinner]. Never a slice of a goroutine's stack: stacks move. Structures that only describe
// (a message header, its vectors, a socket address, a timeout) are read while the submission is taken up and are free as
// soon as the entering call returns (IORING_FEAT_SUBMIT_STABLE).
//
// # Who may call
//
// A [Ring] and its [Buffers] belong to one goroutine at a time. With IORING_SETUP_SINGLE_ISSUER they belong to one thread:
// the goroutine that calls [New] must hold it by runtime.LockOSThread until Close. A [Waker] may be woken by any goroutine.
//
// # Sources
//
// The interface is that of include/uapi/linux/io_uring.h; io_uring(7), io_uring_setup(2), io_uring_enter(2) and
// io_uring_register(2) describe it. Elsewhere than on Linux the package is empty.
package uring
