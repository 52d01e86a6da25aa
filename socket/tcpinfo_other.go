//go:build !linux

package socket

func sysTCPInfo(fd int) (TCPInfo, error) { return TCPInfo{}, unsupported() }
