package systest

import (
	"errors"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/windows"

	"github.com/switchboard-go/switchboard/internal/winsock"
)

var (
	kernel32     = windows.NewLazySystemDLL("kernel32.dll")
	remoteThread = kernel32.NewProc("CreateRemoteThread")
	ctrlRoutine  = windows.NewLazySystemDLL("kernelbase.dll").NewProc("CtrlRoutine")
)

// underWine tells Wine from Windows. Without a terminal it has no console.
var underWine = windows.NewLazySystemDLL("ntdll.dll").NewProc("wine_get_version").Find() == nil

// A Ctrl-Break goes to a whole group of processes, which must be another than that of the test.
func interruptible(cmd *exec.Cmd) {
	if !underWine {
		cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: windows.CREATE_NEW_PROCESS_GROUP}
	}
}

func interrupt(p *os.Process) error {
	if !underWine {
		return windows.GenerateConsoleCtrlEvent(windows.CTRL_BREAK_EVENT, uint32(p.Pid))
	}
	// What the system does when a console has an event: it starts a thread in the process.
	const rights = windows.PROCESS_CREATE_THREAD | windows.PROCESS_QUERY_INFORMATION | windows.PROCESS_VM_OPERATION |
		windows.PROCESS_VM_READ | windows.PROCESS_VM_WRITE
	process, err := windows.OpenProcess(rights, false, uint32(p.Pid))
	if err != nil {
		return err
	}
	defer windows.CloseHandle(process)
	thread, _, err := remoteThread.Call(uintptr(process), 0, 0, ctrlRoutine.Addr(), windows.CTRL_BREAK_EVENT, 0, 0)
	if thread == 0 {
		return os.NewSyscallError("CreateRemoteThread", err)
	}
	return windows.CloseHandle(windows.Handle(thread))
}

func terminate(p *os.Process) error { return interrupt(p) }

func exitCode(state *os.ProcessState) int { return state.ExitCode() }

func is(err error, errno syscall.Errno) bool {
	var e syscall.Errno
	return errors.Is(err, errno) || errors.As(err, &e) && winsock.Errno(e) == errno
}

func hasUnix() bool {
	s, err := windows.Socket(windows.AF_UNIX, windows.SOCK_STREAM, 0)
	if err != nil {
		return false
	}
	windows.Closesocket(s)
	return true
}
