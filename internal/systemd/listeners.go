// Package systemd speaks with a service manager as systemd does it: it takes over the sockets that the manager listens on, and
// tells the manager when the service is ready. The protocols are environment variables and datagrams: sd_listen_fds(3),
// sd_notify(3), sd_watchdog_enabled(3). Other managers speak them as well.
package systemd

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// firstFD is the first descriptor that is passed, SD_LISTEN_FDS_START.
const firstFD = 3

// A passed is a descriptor that the manager has passed, and its name.
type passed struct {
	fd   int
	name string
}

// passedFDs reads the environment once, and takes the variables out of it, so that no child process believes that they are its.
var passedFDs = sync.OnceValues(func() ([]passed, error) {
	all, err := parse(os.Getenv("LISTEN_PID"), os.Getenv("LISTEN_FDS"), os.Getenv("LISTEN_FDNAMES"), os.Getpid())
	for _, name := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID"} {
		os.Unsetenv(name)
	}
	return all, err
})

// parse reads the variables.
func parse(pid, count, names string, self int) (all []passed, err error) {
	if count == "" {
		return nil, nil
	}
	if pid != strconv.Itoa(self) {
		return nil, fmt.Errorf("$LISTEN_PID is %q, and this is process %d: the sockets are for another one", pid, self)
	}
	n, err := strconv.Atoi(count)
	if err != nil || n < 0 || n > 1<<16 {
		return nil, fmt.Errorf("$LISTEN_FDS is %q, which is no number of sockets", count)
	}
	var list []string
	if names != "" {
		list = strings.Split(names, ":")
		if len(list) != n {
			return nil, fmt.Errorf("$LISTEN_FDNAMES has %d names, and $LISTEN_FDS says that there are %d sockets", len(list), n)
		}
	}
	for i := range n {
		p := passed{firstFD + i, "unknown"} // as sd_listen_fds_with_names(3) has it
		if list != nil {
			p.name = list[i]
		}
		all = append(all, p)
	}
	return all, nil
}

var (
	takenMu sync.Mutex
	taken   = map[int]bool{}
)

// FDs returns the descriptors that the manager has passed under a name (FileDescriptorName= of a socket unit, whose default is
// the name of the unit), or all for "". The caller owns them; they are not returned again. An error says what there is instead.
func FDs(name string) (fds []int, err error) {
	all, err := passedFDs()
	if err != nil {
		return nil, err
	}
	takenMu.Lock()
	defer takenMu.Unlock()
	var names []string
	for _, p := range all {
		if taken[p.fd] {
			continue
		}
		if name == "" || p.name == name {
			fds = append(fds, p.fd)
			taken[p.fd] = true
		}
		if !slices.Contains(names, p.name) {
			names = append(names, p.name)
		}
	}
	switch {
	case len(all) == 0:
		return nil, fmt.Errorf("no sockets were passed ($LISTEN_FDS is not set): start it by a socket unit")
	case len(fds) == 0:
		return nil, fmt.Errorf("no socket %q was passed that is not in use: there are %s", name, strings.Join(names, ", "))
	}
	return fds, nil
}
