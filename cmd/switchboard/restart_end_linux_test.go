package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

// A new process that hangs does not outlive the end of the one that started it.
func TestTheEndOfAServerEndsWhatItStarted(t *testing.T) {
	program := filepath.Join(t.TempDir(), "switchboard")
	self, err := os.ReadFile(os.Args[0])
	if err == nil {
		err = os.WriteFile(program, self, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, exec.Command(program, serveArgs([]string{"echo"})...))
	if err := os.Remove(program); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(program, []byte("#!/bin/sh\nexec sleep 100\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, stderr, code := once(t, "", "restart", strconv.Itoa(s.cmd.Process.Pid)); code != 0 {
		t.Fatal(stderr)
	}
	pid := int(s.await("restarting", 1)["pid"].(float64))
	syscall.Kill(s.cmd.Process.Pid, syscall.SIGTERM)
	until(t, "the new process has ended", func() bool { return syscall.Kill(pid, 0) == syscall.ESRCH })
}

// The last of the processes that hand a Unix socket on removes its file, unless it is another's by then.
func TestTheFileOfASocketGoesWithTheLastProcess(t *testing.T) {
	for _, replaced := range []bool{false, true} {
		t.Run("replaced="+strconv.FormatBool(replaced), func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "s")
			s := serveRestarting(t, "lines", "--listen=unix:"+path)
			s.restart()
			s.restart()
			if _, err := os.Lstat(path); err != nil {
				t.Fatal(err)
			}
			if replaced {
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
				l, err := net.Listen("unix", path)
				if err != nil {
					t.Fatal(err)
				}
				defer l.Close()
			}
			syscall.Kill(s.pid, syscall.SIGTERM)
			s.await("served", 3)
			if _, err := os.Lstat(path); replaced != (err == nil) {
				t.Error("at the end:", err)
			}
		})
	}
}

func TestOnlyAServerIsToldToRestart(t *testing.T) {
	sleep := exec.Command("sleep", "60")
	if err := sleep.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		sleep.Process.Kill()
		sleep.Wait()
	}()
	for _, args := range [][]string{{strconv.Itoa(sleep.Process.Pid)}, {"4194305"}} {
		if _, stderr, code := once(t, "", append([]string{"restart"}, args...)...); code != 1 {
			t.Errorf("%v: exit code %d, %s", args, code, stderr)
		}
	}
	for _, args := range [][]string{{}, {"x"}, {"-1"}, {"0"}, {"1", "2"}} {
		if _, stderr, code := once(t, "", append([]string{"restart"}, args...)...); code != 2 {
			t.Errorf("%v: exit code %d, %s", args, code, stderr)
		}
	}
	if err := sleep.Process.Signal(syscall.Signal(0)); err != nil {
		t.Error(err)
	}
}
