//go:build unix

package main

import (
	"io/fs"
	"syscall"
)

// hideNewFiles has new files be their owner's alone. What it returns undoes that, and tells the mode that they would have had.
func hideNewFiles() (restore func() fs.FileMode) {
	before := syscall.Umask(0o177)
	return func() fs.FileMode {
		syscall.Umask(before)
		return fs.FileMode(0o777 &^ before)
	}
}
