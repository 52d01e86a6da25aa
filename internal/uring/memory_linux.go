package uring

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Map takes n bytes of zeroed memory from the kernel, rounded up to whole pages: memory that the garbage collector neither
// moves nor frees nor counts, to be given to operations, and back by Unmap. Pages that are never touched cost nothing.
func Map(n int) ([]byte, error) {
	if n <= 0 {
		return nil, fmt.Errorf("mmap: %d bytes asked for: want one at least", n)
	}
	page := os.Getpagesize()
	b, err := unix.Mmap(-1, 0, (n+page-1)/page*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	return b, os.NewSyscallError("mmap", err)
}

// Unmap gives back what Map took: all of it, by the slice that Map returned.
func Unmap(b []byte) error { return os.NewSyscallError("munmap", unix.Munmap(b)) }
