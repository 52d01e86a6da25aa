package simkernel

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// What a poll mask says.
const (
	pollIn     uint32 = unix.POLLIN
	pollOut    uint32 = unix.POLLOUT
	pollErr    uint32 = unix.POLLERR
	pollHup    uint32 = unix.POLLHUP
	pollRdHup  uint32 = unix.POLLRDHUP
	pollAlways        = pollErr | pollHup
)

// A file is an open file description: descriptors and operations of rings hold it open.
type file struct {
	object object
	refs   int
	wakes  uint64 // how often something happened to it, for edge-triggered waiting
	items  []*interest
}

// An object is what a file is.
type object interface {
	poll() uint32
	release() // nobody holds the file open any more
}

// install gives a descriptor: the lowest number that is free, so that those of closed connections are used again at once.
func (k *Kernel) install(o object) (fd int, errno syscall.Errno) {
	return k.number(&file{object: o, refs: 1})
}

// number gives a descriptor of f.
func (k *Kernel) number(f *file) (fd int, errno syscall.Errno) {
	open := 0
	for _, other := range k.files {
		if other != nil {
			open++
		}
	}
	if open >= k.MaxFiles {
		return -1, syscall.EMFILE
	}
	const first = 3
	for fd = first; fd < len(k.files); fd++ {
		if k.files[fd] == nil {
			k.files[fd] = f
			return fd, 0
		}
	}
	for len(k.files) < first {
		k.files = append(k.files, nil)
	}
	k.files = append(k.files, f)
	return len(k.files) - 1, 0
}

// noFiles tells whether a call that makes a descriptor fails for want of something.
func (k *Kernel) noFiles() syscall.Errno {
	if !k.chance(k.Faults.NoFiles) {
		return 0
	}
	return []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.ENOBUFS}[k.rng.IntN(4)]
}

// lookup returns the file of a descriptor. A program that asks for one that is not open has lost its way: the number may be
// another's the next time.
func (k *Kernel) lookup(call string, fd int) *file {
	if fd < 0 || fd >= len(k.files) || k.files[fd] == nil {
		k.violated("%s: descriptor %d is not open", call, fd)
		return nil
	}
	return k.files[fd]
}

// find returns what a descriptor is, if it is a T.
func find[T object](k *Kernel, call string, fd int) (t T, ok bool) {
	f := k.lookup(call, fd)
	if f == nil {
		return t, false
	}
	if t, ok = f.object.(T); !ok {
		k.violated("%s: descriptor %d is a %T", call, fd, f.object)
	}
	return t, ok
}

func (k *Kernel) closeFD(call string, fd int) bool {
	f := k.lookup(call, fd)
	if f == nil {
		return false
	}
	k.files[fd] = nil
	k.progress++
	f.unref()
	return true
}

func (f *file) unref() {
	f.refs--
	if f.refs > 0 {
		return
	}
	for _, it := range f.items {
		it.gone = true
	}
	f.items = nil
	f.object.release()
}

// OpenFiles lists the descriptors that are open.
func (k *Kernel) OpenFiles() (fds []int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for fd, f := range k.files {
		if f != nil {
			fds = append(fds, fd)
		}
	}
	return fds
}
