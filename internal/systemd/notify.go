package systemd

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// A Manager is who started the service and wants to know how it does. A nil Manager is nobody: to tell it something does nothing.
type Manager struct {
	socket   *net.UnixAddr
	watchdog time.Duration
	variable []string    // of the environment, for a successor
	resigned atomic.Bool // another process speaks to it
}

// NewManager returns the manager that the environment names, nil if it names none. It takes the variables out of the environment, so
// that no child process speaks for this one.
func NewManager() *Manager {
	defer func() {
		for _, name := range []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"} {
			os.Unsetenv(name)
		}
	}()
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" || path[0] != '/' && path[0] != '@' {
		return nil
	}
	m := &Manager{socket: &net.UnixAddr{Name: path, Net: "unixgram"}, variable: []string{"NOTIFY_SOCKET=" + path}}
	usec, err := strconv.ParseInt(os.Getenv("WATCHDOG_USEC"), 10, 64)
	pid := os.Getenv("WATCHDOG_PID")
	if err == nil && usec > 0 && usec < int64(time.Hour*24*365/time.Microsecond) && (pid == "" || pid == strconv.Itoa(os.Getpid())) {
		m.watchdog = time.Duration(usec) * time.Microsecond
		m.variable = append(m.variable, fmt.Sprintf("WATCHDOG_USEC=%d", usec))
	}
	return m
}

// Environ returns the variables from which a process that takes over from this one learns who the manager is.
func (m *Manager) Environ() []string {
	if m == nil {
		return nil
	}
	return m.variable
}

// Resign tells the manager that the service is the process with this PID from here on. What this process tells it afterwards is
// not sent.
func (m *Manager) Resign(to int) error {
	if m == nil {
		return nil
	}
	defer m.resigned.Store(true)
	return m.Tell(fmt.Sprintf("MAINPID=%d", to))
}

// Watchdog returns within what time the manager wants to hear "WATCHDOG=1" again and again, or else it restarts the service. 0: it
// does not.
func (m *Manager) Watchdog() time.Duration {
	if m == nil {
		return 0
	}
	return m.watchdog
}

// Tell sends assignments: "READY=1", "STATUS=serving". It waits at most for a second, should the manager not read.
func (m *Manager) Tell(assignments ...string) error {
	if m == nil || m.resigned.Load() {
		return nil
	}
	conn, err := net.DialUnix("unixgram", nil, m.socket)
	if err != nil {
		return fmt.Errorf("notify %s: %w", m.socket, err)
	}
	defer conn.Close()
	conn.SetWriteDeadline(time.Now().Add(time.Second))
	_, err = conn.Write([]byte(strings.Join(assignments, "\n")))
	return err
}
