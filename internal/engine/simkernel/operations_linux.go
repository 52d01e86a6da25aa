package simkernel

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/switchboard-go/switchboard/internal/uring"
)

const (
	opPoll = iota
	opReceive
)

// issue begins an operation.
func (r *ring) issue(e *uring.SQE) {
	k := r.k
	if k.Trace != nil {
		k.trace("  operation %d of descriptor %d, for %x, length %d, mask %x", e.Opcode, e.FD, e.UserData, e.Len, e.OpFlags)
	}
	fails := func(errno syscall.Errno) { r.post(uring.CQE{UserData: e.UserData, Res: -int32(errno)}) }
	succeeds := func(res int32) {
		if e.Flags&uring.IOSQE_CQE_SKIP_SUCCESS == 0 {
			r.post(uring.CQE{UserData: e.UserData, Res: res})
		}
	}
	switch e.Opcode {
	case uring.IORING_OP_ASYNC_CANCEL:
		if n := r.cancel(e.Addr); n > 0 {
			succeeds(n)
		} else {
			fails(syscall.ENOENT)
		}
	case uring.IORING_OP_CLOSE:
		if k.closeFD("close by the ring", int(e.FD)) {
			succeeds(0)
		} else {
			fails(syscall.EBADF)
		}
	case uring.IORING_OP_SEND:
		s, ok := find[*sock](k, "send by the ring", int(e.FD))
		if !ok {
			fails(syscall.EBADF)
			return
		}
		r.send(e, s, succeeds, fails)
	case uring.IORING_OP_POLL_ADD:
		f := k.lookup("poll by the ring", int(e.FD))
		switch {
		case f == nil:
			fails(syscall.EBADF)
		case e.Len != 0:
			k.violated("poll by the ring: multishot is not simulated")
		default:
			f.refs++
			// The kernel adds these to every mask (IO_POLL_UNMASK).
			r.ops = append(r.ops, &op{kind: opPoll, file: f, user: e.UserData, mask: e.OpFlags | pollAlways | pollRdHup})
		}
	case uring.IORING_OP_RECV:
		s, ok := find[*sock](k, "receive by the ring", int(e.FD))
		switch {
		case !ok || s == nil:
			fails(syscall.EBADF)
		case e.IoPrio&uring.IORING_RECV_MULTISHOT == 0 || e.Flags&uring.IOSQE_BUFFER_SELECT == 0:
			k.violated("receive by the ring: only multishot into provided buffers is simulated")
		default:
			f := k.files[e.FD]
			f.refs++
			o := &op{kind: opReceive, file: f, user: e.UserData}
			r.ops = append(r.ops, o)
			if r.buffers.none() { // it asks for a buffer first, and needs none if there is nothing
				r.finish(o, -int32(syscall.ENOBUFS))
			}
		}
	default:
		k.violated("io_uring: operation %d is not simulated", e.Opcode)
		fails(syscall.EINVAL)
	}
}

// send tries once: it has MSG_DONTWAIT. With MSG_WAITALL, a part is a failure that tells how much it was.
func (r *ring) send(e *uring.SQE, s *sock, succeeds func(int32), fails func(syscall.Errno)) {
	if e.OpFlags&unix.MSG_DONTWAIT == 0 || e.OpFlags&unix.MSG_WAITALL == 0 {
		r.k.violated("send by the ring: only MSG_DONTWAIT|MSG_WAITALL is simulated")
	}
	if r.k.again() {
		fails(syscall.EAGAIN)
		return
	}
	address := e.Addr
	p := unsafe.Slice(*(**byte)(unsafe.Pointer(&address)), int(e.Len))
	sent := 0
	for sent < len(p) {
		n, errno := s.send(p[sent:])
		if errno != 0 && sent == 0 {
			fails(errno)
			return
		}
		if errno != 0 {
			r.post(uring.CQE{UserData: e.UserData, Res: int32(sent)})
			return
		}
		sent += n
		if sent < len(p) && r.k.chance(r.k.Faults.Short) {
			r.post(uring.CQE{UserData: e.UserData, Res: int32(sent)})
			return
		}
	}
	succeeds(int32(sent))
}

// cancel cancels the operations of a user data. One may have completed just before, which cannot be told from outside; and
// one may have data on its way, which it brings first.
func (r *ring) cancel(user uint64) (n int32) {
	for _, o := range r.ops {
		if o.user == user && !o.over && !o.cancelled {
			o.cancelled = true
			n++
		}
	}
	return n
}

// ready tells whether an operation has something to complete with.
func (o *op) ready() bool {
	if o.cancelled {
		return true
	}
	m := o.file.object.poll()
	if o.kind == opReceive {
		return m&(pollIn|pollAlways|pollRdHup) != 0
	}
	return m&o.mask != 0
}

// run completes what can be, in any order of operations.
func (r *ring) run() {
	k := r.k
	r.flush()
	if b := &r.waker; b.posted {
		b.posted = false
		c := uring.CQE{UserData: b.user, Res: int32(pollIn), Flags: uring.IORING_CQE_F_MORE}
		if r.full() || k.rng.IntN(8) == 0 {
			c.Flags, b.armed = 0, false
		}
		r.post(c)
	}
	if len(r.ops) == 0 {
		return
	}
	first := k.rng.IntN(len(r.ops))
	for i := range r.ops {
		o := r.ops[(first+i)%len(r.ops)]
		if o.over || !o.ready() || k.chance(k.Faults.Later) {
			continue
		}
		switch {
		case o.cancelled && !k.chance(k.Faults.LateCancel):
			r.finish(o, -int32(syscall.ECANCELED))
		case o.kind == opPoll:
			if m := o.file.object.poll() & o.mask; m != 0 {
				r.finish(o, int32(m))
			}
		default:
			r.receive(o)
		}
	}
	kept := r.ops[:0]
	for _, o := range r.ops {
		if !o.over {
			kept = append(kept, o)
		}
	}
	clear(r.ops[len(kept):])
	r.ops = kept
}

// finish is an operation's last completion, without a buffer.
func (r *ring) finish(o *op, res int32) {
	o.over = true
	r.post(uring.CQE{UserData: o.user, Res: res})
	o.file.unref()
}

// receive brings what has come, piece by piece.
func (r *ring) receive(o *op) {
	k := r.k
	s := o.file.object.(*sock)
	const retries = 32
	for range retries {
		if k.chance(k.Faults.NoMemory) {
			r.finish(o, -int32(syscall.ENOMEM))
			return
		}
		if r.buffers.none() || k.chance(k.Faults.NoBuffers) {
			r.finish(o, -int32(syscall.ENOBUFS))
			return
		}
		n, errno := s.recv(r.buffers.head())
		switch {
		case errno == syscall.EAGAIN:
			return
		case errno != 0:
			r.finish(o, -int32(errno))
			return
		case n == 0:
			r.finish(o, 0)
			return
		}
		flags := r.buffers.use(n)
		if r.full() { // a completion that overflows is an operation's last
			o.over = true
			r.post(uring.CQE{UserData: o.user, Res: int32(n), Flags: flags})
			o.file.unref()
			return
		}
		r.post(uring.CQE{UserData: o.user, Res: int32(n), Flags: flags | uring.IORING_CQE_F_MORE})
		if k.chance(k.Faults.Later) {
			return
		}
	}
}
