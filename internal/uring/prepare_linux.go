package uring

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Each method makes the entry into one operation. What p and other pointers lead to is the kernel's until the operation's
// last completion, and must be mapped or pinned: see the package's comment. user comes back in each completion.

// Nop does nothing, and completes.
func (e *SQE) Nop(user uint64) { *e = SQE{Opcode: IORING_OP_NOP, FD: -1, UserData: user} }

// AcceptMultishot accepts connections for as long as fd listens, one completion each, whose Res is the connection's
// descriptor. flags are accept4(2)'s. It ends with the first error: EMFILE and the like want it anew, later. Linux 5.19.
func (e *SQE) AcceptMultishot(fd int, flags uint32, user uint64) {
	*e = SQE{Opcode: IORING_OP_ACCEPT, IoPrio: IORING_ACCEPT_MULTISHOT, FD: int32(fd), OpFlags: flags, UserData: user}
}

// Connect connects fd to the address at sa, of n bytes, as connect(2) does with a blocking socket. sa is free once the
// entry is handed over.
func (e *SQE) Connect(fd int, sa unsafe.Pointer, n uint32, user uint64) {
	*e = SQE{Opcode: IORING_OP_CONNECT, FD: int32(fd), Addr: address(sa), Off: uint64(n), UserData: user}
}

// RecvMultishot receives into b's buffers for as long as data comes, one completion for each piece. It ends, without
// IORING_CQE_F_MORE, at the end of input (Res 0), at an error, and with ENOBUFS when b has no buffer left, whether data
// waits or not. Linux 6.0.
func (e *SQE) RecvMultishot(fd int, b *Buffers, user uint64) {
	e.Recv(fd, b, user)
	e.IoPrio |= IORING_RECV_MULTISHOT
}

// Recv receives one piece into a buffer of b. It too takes the buffer only when data is there.
func (e *SQE) Recv(fd int, b *Buffers, user uint64) {
	*e = SQE{
		Opcode: IORING_OP_RECV, Flags: IOSQE_BUFFER_SELECT, IoPrio: b.ioPrio,
		FD: int32(fd), BufGroup: b.group, UserData: user,
	}
}

// Send sends p. flags are send(2)'s; MSG_NOSIGNAL is implied. Without MSG_DONTWAIT it waits for room in the socket's
// buffer; with it the outcome is known when the entering call returns: all, a part (Res), or EAGAIN. MSG_WAITALL makes of
// a part a failure that still tells the part, so that IOSQE_CQE_SKIP_SUCCESS says nothing when all was sent.
func (e *SQE) Send(fd int, p []byte, flags uint32, user uint64) {
	*e = SQE{
		Opcode: IORING_OP_SEND, FD: int32(fd), Addr: address(unsafe.Pointer(unsafe.SliceData(p))), Len: uint32(len(p)),
		OpFlags: flags, UserData: user,
	}
}

// SendZC is Send without copying p. It completes twice: with the result and IORING_CQE_F_MORE, and, when the kernel
// no longer reads p, with IORING_CQE_F_NOTIF. IOSQE_CQE_SKIP_SUCCESS is not for it. Linux 6.0.
func (e *SQE) SendZC(fd int, p []byte, flags uint32, user uint64) {
	e.Send(fd, p, flags, user)
	e.Opcode = IORING_OP_SEND_ZC
}

// SendMsg sends what m's vectors lead to, as sendmsg(2). m and its vectors are free once the entry is handed over, the
// bytes after the completion.
func (e *SQE) SendMsg(fd int, m *unix.Msghdr, flags uint32, user uint64) {
	*e = SQE{
		Opcode: IORING_OP_SENDMSG, FD: int32(fd), Addr: address(unsafe.Pointer(m)), Len: 1, OpFlags: flags, UserData: user,
	}
}

// Shutdown is shutdown(2). The kernel gives it to a worker thread: the system call itself is cheaper.
func (e *SQE) Shutdown(fd, how int, user uint64) {
	*e = SQE{Opcode: IORING_OP_SHUTDOWN, FD: int32(fd), Len: uint32(how), UserData: user}
}

// Close is close(2). Operations on fd that are in flight keep the file open: cancel them first.
func (e *SQE) Close(fd int, user uint64) {
	*e = SQE{Opcode: IORING_OP_CLOSE, FD: int32(fd), UserData: user}
}

// Cancel ends the operations whose user data is target. They complete with ECANCELED, or as they would have; wait for
// those completions, before which nothing of them is free. Its own Res counts them, and is negated ENOENT for none.
func (e *SQE) Cancel(target, user uint64) {
	*e = SQE{Opcode: IORING_OP_ASYNC_CANCEL, FD: -1, Addr: target, OpFlags: IORING_ASYNC_CANCEL_ALL, UserData: user}
}

// CancelFD is Cancel for all operations on fd. Linux 5.19.
func (e *SQE) CancelFD(fd int, user uint64) {
	*e = SQE{
		Opcode: IORING_OP_ASYNC_CANCEL, FD: int32(fd), OpFlags: IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_FD,
		UserData: user,
	}
}

// PollMultishot completes each time that one of events (POLLIN, …) begins on fd; Res has those that hold.
func (e *SQE) PollMultishot(fd int, events uint32, user uint64) {
	e.Poll(fd, events, user)
	e.Len = IORING_POLL_ADD_MULTI
}

// Poll completes once, when one of events holds on fd.
func (e *SQE) Poll(fd int, events uint32, user uint64) {
	*e = SQE{Opcode: IORING_OP_POLL_ADD, FD: int32(fd), OpFlags: pollMask(events), UserData: user}
}

// Message puts a completion with res and data into the ring of descriptor fd, another's or this one. The sender's
// own completion comes when it is there. Linux 5.18.
func (e *SQE) Message(fd int, res int32, data, user uint64) {
	*e = SQE{
		Opcode: IORING_OP_MSG_RING, FD: int32(fd), Addr: ioringMsgData, Len: uint32(res), Off: data, UserData: user,
	}
}

// Quiet asks for no completion unless the operation fails (IOSQE_CQE_SKIP_SUCCESS, Linux 5.17).
func (e *SQE) Quiet() { e.Flags |= IOSQE_CQE_SKIP_SUCCESS }

// address is a pointer as the kernel takes it: 64 bits on every architecture.
func address(p unsafe.Pointer) uint64 { return uint64(uintptr(p)) }

// pollMask is events as poll32_events has them, "word-reversed for BE" says include/uapi/linux/io_uring.h.
func pollMask(events uint32) uint32 {
	one := uint16(1)
	if *(*byte)(unsafe.Pointer(&one)) == 1 {
		return events
	}
	return events<<16 | events>>16
}
