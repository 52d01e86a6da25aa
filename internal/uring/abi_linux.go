package uring

// The kernel's interface, as include/uapi/linux/io_uring.h spells it. Only what this package and its callers use.

// SQE is a submission queue entry: one operation for the kernel to do. Its methods fill it in.
//
// Source: struct io_uring_sqe, include/uapi/linux/io_uring.h.
type SQE struct {
	Opcode      uint8  // IORING_OP_…
	Flags       uint8  // IOSQE_…
	IoPrio      uint16 // flags of accept, send and receive: IORING_ACCEPT_…, IORING_RECVSEND_…
	FD          int32
	Off         uint64 // also addr2: a socket address, a message's user data
	Addr        uint64 // also the user data to cancel
	Len         uint32
	OpFlags     uint32 // MSG_…, SOCK_…, poll events, IORING_ASYNC_CANCEL_…
	UserData    uint64 // comes back in every completion
	BufGroup    uint16 // with IOSQE_BUFFER_SELECT: the buffer group
	Personality uint16
	FileIndex   int32
	Addr3       uint64
	_           uint64
}

// CQE is a completion queue entry: what became of an operation.
//
// Source: struct io_uring_cqe, include/uapi/linux/io_uring.h.
type CQE struct {
	UserData uint64
	Res      int32  // the system call's result, or a negated errno
	Flags    uint32 // IORING_CQE_F_…, the buffer's number above IORING_CQE_BUFFER_SHIFT
}

// Operations: enum io_uring_op.
const (
	IORING_OP_NOP          = 0
	IORING_OP_POLL_ADD     = 6
	IORING_OP_POLL_REMOVE  = 7
	IORING_OP_SENDMSG      = 9
	IORING_OP_TIMEOUT      = 11
	IORING_OP_ACCEPT       = 13
	IORING_OP_ASYNC_CANCEL = 14
	IORING_OP_CONNECT      = 16
	IORING_OP_CLOSE        = 19
	IORING_OP_SEND         = 26
	IORING_OP_RECV         = 27
	IORING_OP_SHUTDOWN     = 34
	IORING_OP_MSG_RING     = 40
	IORING_OP_SEND_ZC      = 47
)

// Flags of an entry.
const (
	IOSQE_IO_DRAIN         = 1 << 1 // begin when all before it have ended
	IOSQE_IO_LINK          = 1 << 2 // the next entry begins when this one succeeded
	IOSQE_IO_HARDLINK      = 1 << 3 // the next entry begins when this one ended
	IOSQE_ASYNC            = 1 << 4 // do it on a worker thread at once
	IOSQE_BUFFER_SELECT    = 1 << 5 // take a buffer of BufGroup
	IOSQE_CQE_SKIP_SUCCESS = 1 << 6 // no completion unless it fails (Linux 5.17)
)

// Flags of one kind of operation, in IoPrio, Len, OpFlags or Addr.
const (
	IORING_ACCEPT_MULTISHOT = 1 << 0

	IORING_RECVSEND_POLL_FIRST = 1 << 0 // do not try before the socket says it is ready
	IORING_RECV_MULTISHOT      = 1 << 1
	IORING_RECVSEND_BUNDLE     = 1 << 4 // fill several buffers in one go

	IORING_POLL_ADD_MULTI = 1 << 0

	IORING_ASYNC_CANCEL_ALL = 1 << 0
	IORING_ASYNC_CANCEL_FD  = 1 << 1
	IORING_ASYNC_CANCEL_ANY = 1 << 2

	ioringMsgData = 0 // IORING_MSG_DATA
)

// Flags of a completion.
const (
	IORING_CQE_F_BUFFER        = 1 << 0 // the upper 16 bits are a buffer's number
	IORING_CQE_F_MORE          = 1 << 1 // the operation will complete again
	IORING_CQE_F_SOCK_NONEMPTY = 1 << 2 // the socket has more to read
	IORING_CQE_F_NOTIF         = 1 << 3 // zero-copy send: the kernel is done with the memory
	IORING_CQE_F_BUF_MORE      = 1 << 4 // the buffer will be filled further (incremental consumption)

	IORING_CQE_BUFFER_SHIFT = 16
)

// Flags of io_uring_setup(2).
const (
	IORING_SETUP_CQSIZE        = 1 << 3  // set by New when Config.Completions is
	IORING_SETUP_CLAMP         = 1 << 4  // too many entries are fewer entries, not an error
	IORING_SETUP_R_DISABLED    = 1 << 6  // begin disabled; the thread that calls Enable is then the one issuer
	IORING_SETUP_SUBMIT_ALL    = 1 << 7  // a refused entry completes with its error and does not stop the ones behind it
	IORING_SETUP_COOP_TASKRUN  = 1 << 8  // do not interrupt the thread for completions: the next system call runs them
	IORING_SETUP_TASKRUN_FLAG  = 1 << 9  // say in the queue's flags that completions wait for a system call
	IORING_SETUP_SINGLE_ISSUER = 1 << 12 // one thread submits
	IORING_SETUP_DEFER_TASKRUN = 1 << 13 // completions are run by an entering call alone
)

// Words shared with the kernel: sq_ring->flags, cq_ring->flags.
const (
	ioringSQCQOverflow      = 1 << 1 // IORING_SQ_CQ_OVERFLOW
	ioringSQTaskrun         = 1 << 2 // IORING_SQ_TASKRUN
	ioringCQEventfdDisabled = 1 << 0 // IORING_CQ_EVENTFD_DISABLED
)

// io_uring_params.features.
const (
	ioringFeatSingleMmap     = 1 << 0  // IORING_FEAT_SINGLE_MMAP
	ioringFeatNoDrop         = 1 << 1  // IORING_FEAT_NODROP
	ioringFeatSubmitStable   = 1 << 2  // IORING_FEAT_SUBMIT_STABLE
	ioringFeatFastPoll       = 1 << 5  // IORING_FEAT_FAST_POLL
	ioringFeatExtArg         = 1 << 8  // IORING_FEAT_EXT_ARG
	ioringFeatCQESkip        = 1 << 11 // IORING_FEAT_CQE_SKIP
	ioringFeatRecvsendBundle = 1 << 14 // IORING_FEAT_RECVSEND_BUNDLE
	ioringFeatMinTimeout     = 1 << 15 // IORING_FEAT_MIN_TIMEOUT
)

// Offsets of mmap(2) on a ring's descriptor.
const (
	ioringOffSQRing = 0          // IORING_OFF_SQ_RING
	ioringOffSQEs   = 0x10000000 // IORING_OFF_SQES
)

// Flags of io_uring_enter(2).
const (
	ioringEnterGetevents      = 1 << 0 // IORING_ENTER_GETEVENTS
	ioringEnterExtArg         = 1 << 3 // IORING_ENTER_EXT_ARG
	ioringEnterRegisteredRing = 1 << 4 // IORING_ENTER_REGISTERED_RING
)

// Operations of io_uring_register(2).
const (
	ioringRegisterEventfd    = 4  // IORING_REGISTER_EVENTFD
	ioringUnregisterEventfd  = 5  // IORING_UNREGISTER_EVENTFD
	ioringRegisterProbe      = 8  // IORING_REGISTER_PROBE
	ioringRegisterEnable     = 12 // IORING_REGISTER_ENABLE_RINGS
	ioringRegisterRingFDs    = 20 // IORING_REGISTER_RING_FDS
	ioringUnregisterRingFDs  = 21 // IORING_UNREGISTER_RING_FDS
	ioringRegisterPbufRing   = 22 // IORING_REGISTER_PBUF_RING
	ioringUnregisterPbufRing = 23 // IORING_UNREGISTER_PBUF_RING
	ioringRegisterSyncCancel = 24 // IORING_REGISTER_SYNC_CANCEL

	ioringPbufRingInc = 2 // IOU_PBUF_RING_INC

	ioringOpSupported = 1 << 0 // IO_URING_OP_SUPPORTED
)

// sqOffsets is struct io_sqring_offsets.
type sqOffsets struct {
	head, tail, ringMask, ringEntries, flags, dropped, array, _ uint32
	userAddr                                                    uint64
}

// cqOffsets is struct io_cqring_offsets.
type cqOffsets struct {
	head, tail, ringMask, ringEntries, overflow, cqes, flags, _ uint32
	userAddr                                                    uint64
}

// params is struct io_uring_params.
type params struct {
	sqEntries, cqEntries, flags, sqThreadCPU, sqThreadIdle, features, wqFD uint32
	_                                                                      [3]uint32
	sqOff                                                                  sqOffsets
	cqOff                                                                  cqOffsets
}

// timespec is struct __kernel_timespec, include/uapi/linux/time_types.h: 64 bits on every architecture.
type timespec struct {
	sec, nsec int64
}

// geteventsArg is struct io_uring_getevents_arg.
type geteventsArg struct {
	sigmask     uint64
	sigmaskSize uint32
	minWaitUsec uint32
	ts          uint64
}

// rsrcUpdate is struct io_uring_rsrc_update, the argument of IORING_REGISTER_RING_FDS.
type rsrcUpdate struct {
	offset, _ uint32
	data      uint64
}

// syncCancel is struct io_uring_sync_cancel_reg.
type syncCancel struct {
	addr    uint64
	fd      int32
	flags   uint32
	timeout timespec
	_       [4]uint64
}

// bufReg is struct io_uring_buf_reg.
type bufReg struct {
	ringAddr    uint64
	ringEntries uint32
	bgid        uint16
	flags       uint16
	_           [3]uint64
}

// buf is struct io_uring_buf. The ring's tail lies in the tail of entry 0 (struct io_uring_buf_ring).
type buf struct {
	addr uint64
	len  uint32
	bid  uint16
	tail uint16
}

// probe is struct io_uring_probe with room for every operation that there may be.
type probe struct {
	lastOp, opsLen uint8
	_              uint16
	_              [3]uint32
	ops            [256]probeOp
}

// probeOp is struct io_uring_probe_op.
type probeOp struct {
	op, _ uint8
	flags uint16
	_     uint32
}
