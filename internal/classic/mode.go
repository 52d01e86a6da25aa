package classic

import (
	"runtime"
	"slices"

	"github.com/switchboard-go/switchboard/selector"
)

// A Mode is one of the architectures that a server can have.
type Mode struct {
	Name  string
	About string // one line for the help text
	run   func(s *Server) error
}

// Modes lists the architectures of this platform, from the simplest on.
func Modes() []Mode {
	modes := []Mode{
		{"blocking", "one client at a time, the others wait in the backlog", (*Server).blocking},
		{"goroutines", "a goroutine for each client", (*Server).goroutines},
	}
	if runtime.GOOS != "windows" { // where no child inherits a socket by its number
		modes = append(modes, Mode{"processes", "a worker process for each processor, accepting from the same socket", (*Server).processes})
	}
	here := selector.Mechanisms()
	if slices.Contains(here, "select") {
		modes = append(modes, Mode{"select", "one thread, waiting in select with three lists", (*Server).selectLists})
	}
	for _, mechanism := range []string{"poll", "epoll", "kqueue", "afd"} {
		if slices.Contains(here, mechanism) {
			modes = append(modes, onSelector(mechanism, "one thread, waiting in "+mechanism))
		}
	}
	return modes
}

func onSelector(mechanism, about string) Mode {
	return Mode{mechanism, about, func(s *Server) error { return s.selectors(mechanism) }}
}
