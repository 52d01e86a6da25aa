package socket_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"github.com/switchboard-go/switchboard/socket"
)

// An echo server, and a client that half-closes: it has said all it has to say, and listens to the end.
func Example() {
	server, err := socket.CreateServer("127.0.0.1:0", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	go func() {
		for {
			conn, _, err := server.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				p := make([]byte, 4096)
				for {
					n, err := conn.Recv(p)
					if err != nil {
						return
					}
					if _, err := conn.SendAll(p[:n]); err != nil {
						return
					}
				}
			}()
		}
	}()

	address, err := server.LocalAddr()
	if err != nil {
		log.Fatal(err)
	}
	client, err := socket.CreateConnection(context.Background(), address.String(), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	if _, err := client.SendAll([]byte("hello, world\n")); err != nil {
		log.Fatal(err)
	}
	client.Shutdown(socket.SHUT_WR)
	reply, err := io.ReadAll(client)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s", reply)
	// Output: hello, world
}

// The calls one by one, as a C program makes them.
func ExampleNew() {
	server, err := socket.New(socket.AF_INET, socket.SOCK_STREAM, 0)
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	address, err := socket.ParseAddr("127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	if err := server.Bind(address); err != nil {
		log.Fatal(err)
	}
	if err := server.Listen(5); err != nil {
		log.Fatal(err)
	}
	address, _ = server.LocalAddr()

	client, err := socket.New(socket.AF_INET, socket.SOCK_STREAM, 0)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	if err := client.Connect(address); err != nil {
		log.Fatal(err)
	}
	conn, peer, err := server.Accept()
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	own, _ := client.LocalAddr()
	fmt.Println(peer == own)
	// Output: true
}

func ExampleSocket_SetTimeout() {
	a, b, err := socket.Pair(socket.AF_UNIX, socket.SOCK_STREAM, 0)
	if err != nil {
		log.Fatal(err)
	}
	defer a.Close()
	defer b.Close()
	p := make([]byte, 100)

	a.SetTimeout(time.Millisecond)
	_, err = a.Recv(p)
	fmt.Println(errors.Is(err, os.ErrDeadlineExceeded))

	a.SetBlocking(false)
	_, err = a.Recv(p)
	fmt.Println(errors.Is(err, socket.ErrWouldBlock))
	// Output:
	// true
	// true
}

func ExampleSocket_MakeFile() {
	a, b, err := socket.Pair(socket.AF_UNIX, socket.SOCK_STREAM, 0)
	if err != nil {
		log.Fatal(err)
	}
	defer a.Close()
	defer b.Close()

	out := a.MakeFile()
	fmt.Fprintf(out, "GET %s\n", "/")
	out.Flush() // without it the other side would wait for ever

	line, err := b.MakeFile().ReadString('\n')
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(line)
	// Output: GET /
}

// A datagram names its receiver, and comes with its sender.
func ExampleSocket_SendTo() {
	receiver, err := socket.New(socket.AF_INET, socket.SOCK_DGRAM, 0)
	if err != nil {
		log.Fatal(err)
	}
	defer receiver.Close()
	address, _ := socket.ParseAddr("127.0.0.1:0")
	if err := receiver.Bind(address); err != nil {
		log.Fatal(err)
	}
	address, _ = receiver.LocalAddr()

	sender, err := socket.New(socket.AF_INET, socket.SOCK_DGRAM, 0)
	if err != nil {
		log.Fatal(err)
	}
	defer sender.Close()
	if _, err := sender.SendTo([]byte("hello"), address); err != nil {
		log.Fatal(err)
	}
	p := make([]byte, 1500)
	n, from, err := receiver.RecvFrom(p)
	if err != nil {
		log.Fatal(err)
	}
	own, _ := sender.LocalAddr()
	fmt.Printf("%s, from the sender's port: %v\n", p[:n], from.Port() == own.Port())
	// Output: hello, from the sender's port: true
}

func ExampleParseAddr() {
	for _, text := range []string{"127.0.0.1:7", "[::1]:7", "/tmp/s.sock", "127.0.0.1:70000"} {
		a, err := socket.ParseAddr(text)
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(a.Network(), a, a.Port())
	}
	// Output:
	// tcp 127.0.0.1:7 7
	// tcp [::1]:7 7
	// unix /tmp/s.sock 0
	// parse 127.0.0.1:70000: port 70000 is over 65535
}

// Many datagrams go and come in one system call each, where the system has it.
func ExampleSocket_SendBatch() {
	bound := func() (*socket.Socket, socket.Addr) {
		s, err := socket.New(socket.AF_INET, socket.SOCK_DGRAM, 0)
		if err != nil {
			log.Fatal(err)
		}
		any, _ := socket.ParseAddr("127.0.0.1:0")
		if err := s.Bind(any); err != nil {
			log.Fatal(err)
		}
		own, err := s.LocalAddr()
		if err != nil {
			log.Fatal(err)
		}
		return s, own
	}
	x, _ := bound()
	defer x.Close()
	y, to := bound()
	defer y.Close()

	_, err := x.SendBatch([]socket.Datagram{
		{Data: []byte("one"), Addr: to},
		{Data: []byte("two"), Addr: to},
	})
	if err != nil {
		log.Fatal(err)
	}
	buffers := make([]socket.Datagram, 16)
	for i := range buffers {
		buffers[i].Data = make([]byte, 1500)
	}
	for got := 0; got < 2; {
		n, err := y.RecvBatch(buffers)
		if err != nil {
			log.Fatal(err)
		}
		for _, d := range buffers[:n] {
			fmt.Printf("%s\n", d.Data[:d.N])
		}
		got += n
	}
	// Output:
	// one
	// two
}
