package socket

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// A boundFile is the socket file that a server made.
type boundFile struct {
	path string // absolute: the working directory may change
	info os.FileInfo
}

// remove removes the file, unless it is another by now. It is called before the socket is closed: until then the
// system gives its inode number to no other file.
func (f *boundFile) remove() {
	defer lockDirectory(f.path)()
	if info, err := os.Lstat(f.path); err == nil && os.SameFile(info, f.info) {
		os.Remove(f.path)
	}
}

func listenUnix(a Addr, options *ServerOptions) (*Socket, error) {
	switch {
	case options.ReusePort:
		return nil, failed("bind", a.String(), invalid(syscall.EOPNOTSUPP, "reuse-port is for IP addresses"))
	case options.DualStack:
		return nil, failed("bind", a.String(), invalid(syscall.EAFNOSUPPORT, "dual-stack is for IPv6 addresses"))
	}
	s, err := New(AF_UNIX, SOCK_STREAM, 0)
	if err != nil {
		return nil, err
	}
	if a.IsAbstract() {
		err = s.Bind(a)
	} else {
		// Nobody else who comes this way may find the file between Bind and Listen: it would look stale.
		defer lockDirectory(a.Path())()
		err = s.bindFile(a)
	}
	if err == nil {
		err = s.Listen(options.backlog())
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// bindFile is Bind for a server: it replaces a stale file, and remembers the new one for Close.
func (s *Socket) bindFile(a Addr) error {
	err := s.Bind(a)
	if errors.Is(err, syscall.EADDRINUSE) {
		if err := removeStale(a); err != nil {
			return failed("bind", a.String(), err)
		}
		err = s.Bind(a)
	}
	if err != nil {
		return err
	}
	path, err := filepath.Abs(a.Path())
	if err == nil {
		var info os.FileInfo
		if info, err = os.Lstat(path); err == nil {
			s.mu.Lock()
			s.file = &boundFile{path, info}
			s.mu.Unlock()
		}
	}
	return failed("bind", a.String(), err)
}

// removeStale removes a socket file at which nobody listens.
func removeStale(a Addr) error {
	info, err := os.Lstat(a.Path())
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode()&os.ModeSocket == 0 {
		return invalid(syscall.EADDRINUSE, "there is a file that is not a socket")
	}
	for range staleProbes {
		switch err := probe(a); {
		case errors.Is(err, syscall.EACCES):
			return invalid(syscall.EADDRINUSE, "there is a socket file, and this user may not connect to it to see whether a program listens there: "+
				"stop that program, or remove the file if there is none")
		case !errors.Is(err, syscall.ECONNREFUSED):
			return syscall.EADDRINUSE
		}
		if staleProbes > 1 {
			time.Sleep(20 * time.Millisecond)
		}
	}
	return os.Remove(a.Path())
}

func probe(a Addr) error {
	s, err := New(AF_UNIX, SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	defer s.Close()
	s.SetBlocking(false)
	return s.Connect(a)
}

// lockDirectory keeps other servers of this package out of the directory of the path, and returns what lets them in
// again. A directory that cannot be locked, or that somebody else keeps locked, is used without: the
// lock closes a gap of microseconds only.
func lockDirectory(path string) (unlock func()) {
	dir := filepath.Dir(path)
	for range 100 {
		lock, err := sysLockDir(dir)
		if err == nil {
			return func() { sysClose(lock) }
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	return func() {}
}
