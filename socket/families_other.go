//go:build !linux

package socket

// otherFamily: this system has no other families here.
func otherFamily(family int) string { return "" }

func (a Addr) otherString() string { return "" }
