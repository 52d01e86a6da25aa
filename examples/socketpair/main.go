// Socketpair starts a child process and talks with it over a pair of connected sockets.
//
// It teaches socketpair and inheritance: descriptors are not inherited unless the parent says so, the child makes a
// Socket of the number it is given, and each process closes the end that it does not use, because a stream ends only
// when the last copy of its other end is closed.
//
//	go run ./examples/socketpair hello from your parent
package main

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"

	"github.com/switchboard-go/switchboard/frame"
	"github.com/switchboard-go/switchboard/socket"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("socketpair: ")
	flag.Usage = func() { fmt.Fprintln(os.Stderr, "usage: socketpair message...") }
	inherited := flag.Int("child", -1, "") // for the child: the descriptor of its end
	flag.Parse()

	var err error
	switch {
	case *inherited >= 0:
		err = child(*inherited)
	case flag.NArg() == 0:
		err = fmt.Errorf("no message to send to the child")
	default:
		err = parent(flag.Args())
	}
	if err != nil {
		log.Fatal(err)
	}
}

func parent(messages []string) error {
	ours, theirs, err := socket.Pair(socket.AF_UNIX, socket.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	defer ours.Close()
	fd, err := theirs.Detach()
	if err != nil {
		return err
	}
	file := os.NewFile(uintptr(fd), "socketpair")
	program, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(program, "-child", "3") // what is in ExtraFiles begins at 3, after stdin, stdout, stderr
	cmd.ExtraFiles = []*os.File{file}
	cmd.Stderr = os.Stderr
	err = cmd.Start()
	file.Close() // the child has its own
	if err != nil {
		return err
	}

	err = converse(ours, messages)
	ours.Close() // the child reads to its end, and goes
	if exit := cmd.Wait(); exit != nil {
		return fmt.Errorf("the child: %v", exit)
	}
	return err
}

func converse(conn *socket.Socket, messages []string) error {
	replies := bufio.NewReader(conn)
	for _, message := range messages {
		line, err := frame.Lines(0).Append(nil, []byte(message))
		if err != nil {
			return err
		}
		if _, err := conn.SendAll(line); err != nil {
			return err
		}
		reply, err := replies.ReadString('\n')
		if err != nil {
			return err
		}
		fmt.Print(reply)
	}
	return nil
}

func child(fd int) error {
	conn, err := socket.FromFD(fd)
	if err != nil {
		return err
	}
	defer conn.Close()
	lines := frame.NewScanner(conn, frame.Lines(0))
	for lines.Scan() {
		reply := fmt.Appendf(nil, "%s, says process %d\n", bytes.ToUpper(lines.Bytes()), os.Getpid())
		if _, err := conn.SendAll(reply); err != nil {
			return err
		}
	}
	return lines.Err()
}
