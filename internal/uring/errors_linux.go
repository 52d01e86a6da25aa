package uring

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Error says why no ring, or no buffers for one, can be made, and how to mend it.
type Error struct {
	Call string // what the kernel refused
	Err  error  // the errno
	Why  string // what it means here
}

func (e *Error) Error() string { return e.Call + ": " + e.Err.Error() + ": " + e.Why }

func (e *Error) Unwrap() error { return e.Err }

// MissingError says which feature the running kernel lacks. It wraps errors.ErrUnsupported.
type MissingError struct {
	Feature Feature
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("io_uring: this kernel (%s) lacks %v, which Linux has since %s", release(), e.Feature, e.Feature.Since())
}

func (e *MissingError) Unwrap() error { return errors.ErrUnsupported }

// noMemory explains ENOMEM. Linux counts rings and their buffers as locked memory before 5.12, and again since 6.14; the limit
// holds for all processes of a user together, and root has none.
func noMemory(call string) error {
	return &Error{call, unix.ENOMEM, "too little memory, or too little of it may be locked by this user's processes: " +
		"raise RLIMIT_MEMLOCK (ulimit -l)"}
}

// setupError explains what io_uring_setup(2) answered.
func setupError(errno unix.Errno, c Config) error {
	switch errno {
	case unix.ENOSYS:
		return &Error{"io_uring_setup", errno, fmt.Sprintf("this kernel (%s) has no io_uring: Linux has it since 5.1, if built with CONFIG_IO_URING, "+
			"and a container's seccomp filter may hide it", release())}
	case unix.EPERM, unix.EACCES:
		return &Error{"io_uring_setup", errno, forbidden()}
	case unix.ENOMEM:
		return noMemory("io_uring_setup")
	case unix.EINVAL:
		if f, known := missingFlag(c.Flags); known {
			return &MissingError{f}
		}
		return &Error{"io_uring_setup", errno, fmt.Sprintf("%d entries, %d completions and the flags %#x do not go together", c.Entries, c.Completions, c.Flags)}
	}
	return os.NewSyscallError("io_uring_setup", errno)
}

// forbidden tells who forbids rings, as far as it can be seen: kernel.io_uring_disabled (Linux 6.6) is 1 to forbid them to
// who lacks CAP_SYS_ADMIN and is not of kernel.io_uring_group, and 2 to forbid them to all.
func forbidden() string {
	switch b, _ := os.ReadFile("/proc/sys/kernel/io_uring_disabled"); strings.TrimSpace(string(b)) {
	case "1":
		return "kernel.io_uring_disabled is 1: needs CAP_SYS_ADMIN or the group of kernel.io_uring_group, or sysctl kernel.io_uring_disabled=0"
	case "2":
		return "kernel.io_uring_disabled is 2: needs sysctl kernel.io_uring_disabled=0"
	}
	return "forbidden, likely by a container's seccomp filter: allow io_uring_setup, io_uring_enter and io_uring_register there"
}

// missingFlag finds a flag that the kernel refuses even without the others.
func missingFlag(flags uint32) (Feature, bool) {
	for f := range featureCount {
		if setup := features[f].setup; setup != 0 && flags&setup == setup && !accepts(setup) {
			return f, true
		}
	}
	return 0, false
}

// release is the running kernel's version, as uname(2) has it.
func release() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return "of unknown version"
	}
	return unix.ByteSliceToString(u.Release[:])
}
