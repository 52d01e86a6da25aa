//go:build unix

package socket

func (e *Error) isWinsock(error) bool { return false }
