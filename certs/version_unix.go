//go:build unix

package certs

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// A version tells one content of a file from another, as far as can be seen from outside. The time of the last change of
// the inode (ctime) is part of it: whoever copies a file with its old times (cp -p, tar, rsync -t) cannot set that.
type version struct {
	device, inode, size uint64
	modified, changed   unix.Timespec
	regular             bool
}

func versionOf(path string) (version, error) {
	var s unix.Stat_t
	for {
		switch err := unix.Stat(path, &s); err {
		case unix.EINTR:
		case nil:
			return version{uint64(s.Dev), uint64(s.Ino), uint64(s.Size), s.Mtim, s.Ctim, s.Mode&unix.S_IFMT == unix.S_IFREG}, nil
		default:
			return version{}, &os.PathError{Op: "stat", Path: path, Err: err}
		}
	}
}

func (v version) last() time.Time {
	modified, changed := time.Unix(v.modified.Unix()), time.Unix(v.changed.Unix())
	if modified.After(changed) {
		return modified
	}
	return changed
}

// exposed returns what others than the owner and its group may do to a file, "" if that is nothing.
func exposed(path string) string {
	const othersRead, othersWrite, groupWrite = 0o004, 0o002, 0o020
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return ""
	}
	switch mode := info.Mode().Perm(); {
	case mode&(othersRead|othersWrite) == othersRead|othersWrite:
		return "every user can read and write it"
	case mode&othersWrite != 0:
		return "every user can write it"
	case mode&othersRead != 0:
		return "every user can read it"
	case mode&groupWrite != 0:
		return "its group can write it"
	}
	return ""
}
