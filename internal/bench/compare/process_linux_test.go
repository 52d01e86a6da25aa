package compare

import (
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// A server is to end with this process, and Linux takes the end of a thread for that.
func TestAServerOutlivesTheThreadThatItsCallerRanOn(t *testing.T) {
	candidate := socat(t)
	served := make(chan *process)
	ended := make(chan int)
	var run func()
	run = func() {
		runtime.LockOSThread() // and is not unlocked: the thread ends with the goroutine
		if syscall.Gettid() == syscall.Getpid() {
			go run() // on another thread, as the first one never ends
			<-t.Context().Done()
			runtime.UnlockOSThread()
			return
		}
		p, err := startServer(t.Context(), func(port int) *exec.Cmd { return candidate.Command(port) })
		if err != nil {
			t.Error(err)
			close(served)
			return
		}
		served <- p
		ended <- syscall.Gettid()
	}
	go run()
	p, ok := <-served
	if !ok {
		return
	}
	defer p.stop()
	thread := <-ended
	for syscall.Tgkill(syscall.Getpid(), thread, 0) == nil {
		time.Sleep(time.Millisecond)
	}
	if isClosed(p.gone, 200*time.Millisecond) {
		t.Errorf("the server ended with the thread: %v", p.ended())
	}
}
