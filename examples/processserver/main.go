//go:build unix

// Processserver serves every client in a process of its own, as inetd and the oldest servers of Unix do.
//
// It teaches that a child process inherits an open socket. C calls fork after accept; a Go program starts itself again and gives
// the child the connection as descriptor 3. A client that crashes its process harms no other. The price is a process, some
// megabytes, for each client.
//
//	go run ./examples/processserver -listen 127.0.0.1:7007
//	go run ./examples/multiclient -to 127.0.0.1:7007 -n 3 hello world
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"

	"github.com/switchboard-go/switchboard/socket"
)

const maxClients = 100 // the next ones wait in the backlog

func main() {
	log.SetFlags(0)
	log.SetPrefix("processserver: ")
	flag.Usage = func() { fmt.Fprintln(os.Stderr, "usage: processserver [-listen address]") }
	address := flag.String("listen", "127.0.0.1:7007", "")
	inherited := flag.Int("child", -1, "")
	flag.Parse()
	if flag.NArg() > 0 {
		log.Fatalf("argument %q is one too many", flag.Arg(0))
	}
	if *inherited >= 0 {
		if err := child(*inherited); err != nil {
			log.Fatal(err)
		}
		return
	}

	server, err := socket.CreateServer(*address, nil)
	if err != nil {
		log.Fatal(err)
	}
	if own, err := server.LocalAddr(); err == nil {
		fmt.Println("listening on", own)
	}
	places := make(chan bool, maxClients)
	for {
		places <- true
		conn, peer, err := server.Accept()
		if err != nil {
			log.Fatal(err)
		}
		cmd, err := start(conn)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("client", peer, "process", cmd.Process.Pid)
		go func() {
			if err := cmd.Wait(); err != nil { // without it the ended child stays as a zombie
				log.Printf("client %v: %v", peer, err)
			}
			<-places
		}()
	}
}

// start gives the connection to a child. The parent's own copy is closed, or the client would never see its end.
func start(conn *socket.Socket) (*exec.Cmd, error) {
	fd, err := conn.Detach()
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), "client")
	defer file.Close()
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(program, "-child", "3") // what is in ExtraFiles begins at 3, after stdin, stdout, stderr
	cmd.ExtraFiles = []*os.File{file}
	cmd.Stderr = os.Stderr
	return cmd, cmd.Start()
}

func child(fd int) error {
	conn, err := socket.FromFD(fd)
	if err != nil {
		return err
	}
	defer conn.Close()
	buf := make([]byte, 4096)
	for {
		n, err := conn.Recv(buf)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := conn.SendAll(buf[:n]); err != nil {
			return err
		}
	}
}
