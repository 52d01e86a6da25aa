//go:build dragonfly || freebsd || netbsd

package rawio

import "golang.org/x/sys/unix"

const keepIdle = unix.TCP_KEEPIDLE
