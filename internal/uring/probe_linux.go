package uring

import (
	"errors"
	"fmt"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Feature is something of io_uring that not every kernel has.
type Feature uint8

const (
	OneMapping Feature = iota
	NoDrop
	SocketOperations
	TimedWait
	SkipSuccess
	SubmitAll
	MessageRing
	RegisteredRing
	CoopTaskrun
	BufferRing
	CancelFD
	MultishotAccept
	MultishotRecv
	SingleIssuer
	SendZeroCopy
	DeferTaskrun
	RecvBundle
	IncrementalBuffers
	featureCount
)

// features has of each feature its name, the version of Linux that brought it, and, where that is how it shows, the bit
// that io_uring_setup(2) answers or the flags that it takes.
var features = [featureCount]struct {
	name, since string
	feat, setup uint32
}{
	OneMapping:         {"one mapping for both queues (IORING_FEAT_SINGLE_MMAP)", "5.4", ioringFeatSingleMmap, 0},
	NoDrop:             {"keeping completions that overflow (IORING_FEAT_NODROP)", "5.5", ioringFeatNoDrop, 0},
	SocketOperations:   {"accept, connect, send, recv, shutdown (IORING_REGISTER_PROBE)", "5.11", 0, 0},
	TimedWait:          {"waiting with a timeout (IORING_FEAT_EXT_ARG)", "5.11", ioringFeatExtArg, 0},
	SkipSuccess:        {"no completion on success (IOSQE_CQE_SKIP_SUCCESS)", "5.17", ioringFeatCQESkip, 0},
	SubmitAll:          {"IORING_SETUP_SUBMIT_ALL", "5.18", 0, IORING_SETUP_SUBMIT_ALL},
	MessageRing:        {"messages between rings (IORING_OP_MSG_RING)", "5.18", 0, 0},
	RegisteredRing:     {"registered ring descriptors (IORING_REGISTER_RING_FDS)", "5.18", 0, 0},
	CoopTaskrun:        {"IORING_SETUP_COOP_TASKRUN", "5.19", 0, IORING_SETUP_COOP_TASKRUN},
	BufferRing:         {"provided buffer rings (IORING_REGISTER_PBUF_RING)", "5.19", 0, 0},
	CancelFD:           {"cancelling by descriptor (IORING_ASYNC_CANCEL_FD)", "5.19", 0, 0},
	MultishotAccept:    {"multishot accept (IORING_ACCEPT_MULTISHOT)", "5.19", 0, 0},
	MultishotRecv:      {"multishot receive (IORING_RECV_MULTISHOT)", "6.0", 0, 0},
	SingleIssuer:       {"IORING_SETUP_SINGLE_ISSUER", "6.0", 0, IORING_SETUP_SINGLE_ISSUER},
	SendZeroCopy:       {"zero-copy send (IORING_OP_SEND_ZC)", "6.0", 0, 0},
	DeferTaskrun:       {"IORING_SETUP_DEFER_TASKRUN", "6.1", 0, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN},
	RecvBundle:         {"receiving bundles (IORING_RECVSEND_BUNDLE)", "6.10", ioringFeatRecvsendBundle, 0},
	IncrementalBuffers: {"incremental buffer consumption (IOU_PBUF_RING_INC)", "6.12", 0, 0},
}

func (f Feature) String() string { return features[f].name }

// Since is the version of Linux that brought the feature, such as "6.1".
func (f Feature) Since() string { return features[f].since }

// Support is what the running kernel offers this process.
type Support struct {
	has [featureCount]bool
	err error
}

// Probe finds out, by making a small ring and asking; nothing of it remains.
func Probe() (s Support) {
	Aside(func() { s = ask() })
	return s
}

func ask() (s Support) {
	r, err := New(Config{Entries: 4})
	if err != nil {
		s.err = err
		return s
	}
	defer r.Close()
	ops := r.operations()
	for f := range featureCount {
		switch f {
		case SocketOperations:
			s.has[f] = true
			for _, op := range []uint8{
				IORING_OP_ACCEPT, IORING_OP_CONNECT, IORING_OP_SEND, IORING_OP_SENDMSG, IORING_OP_RECV, IORING_OP_SHUTDOWN,
				IORING_OP_CLOSE, IORING_OP_POLL_ADD, IORING_OP_ASYNC_CANCEL,
			} {
				s.has[f] = s.has[f] && ops[op]
			}
		case MessageRing:
			s.has[f] = ops[IORING_OP_MSG_RING]
		case SendZeroCopy:
			s.has[f] = ops[IORING_OP_SEND_ZC]
		case RegisteredRing:
			s.has[f] = r.RegisterFD() == nil
		case BufferRing, IncrementalBuffers:
			mode := Whole
			if f == IncrementalBuffers {
				mode = Incremental
			}
			_, err := r.NewBuffers(uint16(f), 1, 1, mode)
			if errors.Is(err, unix.ENOMEM) {
				return Support{err: err} // the kernel may well have the feature
			}
			s.has[f] = err == nil
		case CancelFD:
			s.has[f] = r.understands(func(e *SQE) { e.CancelFD(-1, 0) })
		case MultishotAccept:
			s.has[f] = r.understands(func(e *SQE) { e.AcceptMultishot(-1, 0, 0) })
		case MultishotRecv:
			s.has[f] = r.understands(func(e *SQE) { e.RecvMultishot(-1, &Buffers{}, 0) })
		default:
			if bit := features[f].feat; bit != 0 {
				s.has[f] = r.feats&bit != 0
			} else {
				s.has[f] = accepts(features[f].setup)
			}
		}
	}
	return s
}

// Err is why no ring can be made at all, or nil.
func (s Support) Err() error { return s.err }

// Has tells whether the kernel has a feature.
func (s Support) Has(f Feature) bool { return s.has[f] }

// Require is nil if rings can be made and have all of fs; else what hinders: Err, or a [MissingError] that names the first
// feature that is missing.
func (s Support) Require(fs ...Feature) error {
	if s.err != nil {
		return s.err
	}
	for _, f := range fs {
		if !s.has[f] {
			return &MissingError{f}
		}
	}
	return nil
}

// Without is s as an older kernel would have it, without fs: to see what a program does there.
func (s Support) Without(fs ...Feature) Support {
	for _, f := range fs {
		s.has[f] = false
	}
	return s
}

// String lists, a line each, what there is and what is missing.
func (s Support) String() string {
	if s.err != nil {
		return s.err.Error()
	}
	var b strings.Builder
	for f := range featureCount {
		mark := "+"
		if !s.has[f] {
			mark = "-"
		}
		fmt.Fprintf(&b, "%s %v, Linux %s\n", mark, f, f.Since())
	}
	return b.String()
}

// operations asks which operations the kernel knows (IORING_REGISTER_PROBE, Linux 5.6).
func (r *Ring) operations() (known [256]bool) {
	var p probe
	if _, err := r.register(ioringRegisterProbe, unsafe.Pointer(&p), uintptr(len(p.ops))); err != nil {
		return known
	}
	for _, o := range p.ops[:p.opsLen] {
		known[o.op] = o.flags&ioringOpSupported != 0
	}
	return known
}

// understands submits an entry that cannot succeed. One that the kernel knows fails for its descriptor, one that it does
// not know for its flags.
func (r *Ring) understands(prepare func(*SQE)) bool {
	prepare(r.Next())
	if err := r.Submit(); err != nil {
		return false
	}
	res := -int32(unix.EINVAL)
	for c := range r.Completions {
		res = c.Res
	}
	return res != -int32(unix.EINVAL)
}

// accepts tells whether io_uring_setup(2) takes flags.
func accepts(flags uint32) bool {
	p := params{flags: flags}
	fd, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, 1, uintptr(unsafe.Pointer(&p)), 0)
	if errno == 0 {
		unix.Close(int(fd))
	}
	return errno != unix.EINVAL
}
