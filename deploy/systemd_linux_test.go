package deploy

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	// patience is how long a test waits for what must come.
	patience = 60 * time.Second

	// insideVariable has the commands of systemctl in the process that is a client in the namespaces of systemd.
	insideVariable = "SWITCHBOARD_TEST_INSIDE_SYSTEMD"
)

// boot makes systemd the first process of the namespaces that it is run in. Nothing outside of them changes: the file system can
// only be read, what is written goes to file systems in memory, the settings of the kernel cannot be written, and the control
// group is the test's. What systemd does at the boot of a whole system, such as to empty /tmp, is masked. $1 is a directory with the
// program and package deploy, $2 the client, and $3 the commands that install the service.
const boot = `set -e
mount --make-rprivate /
mount -t tmpfs tmpfs /run
cp -a /etc /run/etc
mount --bind /run/etc /etc
umount -R /sys/fs/cgroup 2>/dev/null || true
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs tmpfs /usr/local/bin
install -m 755 "$2" /usr/local/bin/client
mkdir -p /run/systemd/system
cd "$1"
eval "$3"
cd /
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /var
mkdir /var/lib /var/log /var/tmp
ln -s /run /var/run
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
mount -o remount,bind,ro /
ip link set lo up
for unit in switchboard.service switchboard.socket; do # the rest of a system is not there
  mkdir "/run/systemd/system/$unit.d"
  printf '[Unit]\nDefaultDependencies=no\n' >"/run/systemd/system/$unit.d/test.conf"
done
for unit in network-online.target sysinit.target basic.target systemd-tmpfiles-setup.service systemd-tmpfiles-setup-dev.service \
  systemd-tmpfiles-clean.service systemd-tmpfiles-clean.timer; do
  ln -s /dev/null "/run/systemd/system/$unit"
done
printf '[Unit]\nDefaultDependencies=no\nAllowIsolate=yes\n' >/run/systemd/system/test.target
if touch /switchboard-test 2>/dev/null; then echo "the file system can be written"; exit 1; fi
exec env -i container=test PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system --unit=test.target \
  --log-target=console --show-status=no`

// TestSystemdRunsTheUnits has a systemd of its own start the units as they are, and a client stay connected while it reloads the
// service again and again.
func TestSystemdRunsTheUnits(t *testing.T) {
	if os.Getenv(insideVariable) != "" {
		inside(t)
		return
	}
	for _, name := range []string{"/lib/systemd/systemd", "systemctl", "unshare", "nsenter", "ip"} {
		program(t, name)
	}
	if os.Getuid() != 0 {
		t.Skip("only root may make these namespaces")
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("go", "build", "-o", dir, "../cmd/switchboard").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(here, filepath.Join(dir, "deploy")); err != nil {
		t.Fatal(err)
	}
	install, manage := commands(t)
	group := controlGroup(t)
	namespaces := []string{"--pid", "--mount", "--uts", "--ipc", "--net", "--cgroup"}
	if out, err := exec.Command("unshare", append(namespaces, "--fork", "--mount-proc", "mount", "-t", "tmpfs", "tmpfs", "/run")...).CombinedOutput(); err != nil {
		t.Skipf("no namespaces may be made here: %v: %s", err, out)
	}
	var log bytes.Buffer
	system := exec.Command("sh", "-c", `echo $$ >"$0/cgroup.procs" && exec unshare "$@"`, group)
	system.Args = append(system.Args, append(namespaces, "--fork", "--mount-proc", "--kill-child=KILL", "sh", "-c", boot, "sh", dir, os.Args[0], install)...)
	system.Stdout, system.Stderr = &log, &log
	system.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := system.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- system.Wait() }()
	over := false
	defer func() {
		system.Process.Kill() // and with it systemd, and with that all its processes
		if !over {
			<-ended
		}
		if t.Failed() {
			t.Logf("systemd said:\n%s", log.String())
		}
	}()
	first := ""
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		select {
		case err := <-ended:
			over = true
			t.Fatalf("systemd ended: %v", err)
		default:
		}
		children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", system.Process.Pid))
		first = strings.TrimSpace(string(children))
		if args, _ := os.ReadFile("/proc/" + first + "/cmdline"); first != "" && strings.HasPrefix(string(args), "/lib/systemd/systemd\x00") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("systemd does not start")
		}
	}
	client := exec.Command("nsenter", "-t", first, "-p", "-m", "-u", "-i", "-n", "-C", "/usr/local/bin/client", "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=5m")
	client.Env = append(os.Environ(), insideVariable+"="+manage)
	out, err := client.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}

// commands returns those that docs/operate.md has for systemd: they install the service, and manage it.
func commands(t *testing.T) (install, manage string) {
	for line := range strings.Lines(read(t, "../docs/operate.md")) {
		switch {
		case strings.HasPrefix(line, "install "):
			install += line
		case strings.HasPrefix(line, "systemctl "):
			manage += line
		}
	}
	for _, want := range []string{"daemon-reload", "enable", "start", "reload", "kill"} {
		if !strings.Contains(manage, "systemctl "+want) {
			t.Errorf("docs/operate.md has no systemctl %s", want)
		}
	}
	return install, manage
}

// controlGroup makes a control group, which is removed when the test ends.
func controlGroup(t *testing.T) string {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		f := strings.Fields(line)
		if len(f) < 3 || f[2] != "cgroup2" {
			continue
		}
		dir, err := os.MkdirTemp(f[1], "switchboard-test")
		if err != nil {
			t.Skipf("no control group may be made here: %v", err)
		}
		t.Cleanup(func() {
			os.WriteFile(filepath.Join(dir, "cgroup.kill"), []byte("1"), 0)
			for deadline := time.Now().Add(patience); exec.Command("find", dir, "-depth", "-type", "d", "-delete").Run() != nil; time.Sleep(50 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Errorf("%s cannot be removed", dir)
					return
				}
			}
		})
		return dir
	}
	t.Skip("there is no cgroup2, which systemd needs")
	return ""
}

// inside is a client of the service, on the system that systemd runs.
func inside(t *testing.T) {
	systemctl := func(args ...string) string {
		t.Helper()
		out, err := exec.Command("systemctl", args...).CombinedOutput()
		if err != nil {
			t.Fatalf("systemctl %v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	until := func(what string, is func() bool) {
		t.Helper()
		for deadline := time.Now().Add(patience); !is(); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("it does not come to pass that %s", what)
			}
		}
	}
	until("systemd answers", func() bool { return exec.Command("systemctl", "list-units").Run() == nil })
	pid := func() string { return systemctl("show", "-p", "MainPID", "--value", "switchboard.service") }
	for line := range strings.Lines(os.Getenv(insideVariable)) {
		before := pid()
		systemctl(strings.Fields(line)[1:]...)
		if strings.HasPrefix(line, "systemctl reload ") {
			until("another process serves", func() bool { return pid() != before })
		}
	}
	var conns []net.Conn
	dial := func() net.Conn {
		c, err := net.Dial("tcp", "127.0.0.1:7007")
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
		t.Cleanup(func() { c.Close() })
		return c
	}
	echoes := func(c net.Conn, what string) {
		t.Helper()
		c.SetDeadline(time.Now().Add(patience))
		io.WriteString(c, what)
		got := make([]byte, len(what))
		if _, err := io.ReadFull(c, got); err != nil || string(got) != what {
			t.Fatalf("%q came back, %v", got, err)
		}
	}
	kept := dial()
	echoes(kept, "hello")
	for range 3 {
		before := pid()
		systemctl("reload", "switchboard.service")
		until("another process serves", func() bool { return pid() != before })
		echoes(kept, "after a reload")
		echoes(dial(), "and who is new")
	}
	systemctl("kill", "-s", "HUP", "switchboard.service")
	echoes(kept, "after SIGHUP")
	until("it is read again", func() bool {
		return systemctl("show", "-p", "ActiveState", "--value", "switchboard.service") == "active"
	})
	about := systemctl("show", "-p", "NRestarts", "-p", "Result", "-p", "User", "switchboard.service")
	for _, want := range []string{"NRestarts=0", "Result=success", "User=switchboard"} {
		if !strings.Contains("\n"+about+"\n", "\n"+want+"\n") {
			t.Errorf("it is not %s:\n%s", want, about)
		}
	}
	for _, c := range conns { // a stop waits for them
		c.Close()
	}
	systemctl("restart", "switchboard.service")
	c := dial()
	echoes(c, "after a restart")
	c.Close()
	systemctl("stop", "switchboard.service")
	echoes(dial(), "the socket has it started")
}
