//go:build !linux

package socket

// errorQueue: this system keeps no queue of errors.
const errorQueue = 0
