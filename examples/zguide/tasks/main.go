// Tasks is the guide's divide and conquer: a ventilator shares tasks out to workers, which send their results to a sink.
//
//	go run ./examples/zguide/tasks sink tcp://127.0.0.1:5558 100
//	go run ./examples/zguide/tasks worker tcp://127.0.0.1:5557 tcp://127.0.0.1:5558
//	go run ./examples/zguide/tasks ventilator tcp://127.0.0.1:5557 100
package main

import (
	"fmt"
	"log"
	"os"
	"strconv"
	"time"

	"github.com/switchboard-go/switchboard/zmtp"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 4 {
		log.Fatal("usage: tasks ventilator ENDPOINT N, tasks worker VENTILATOR SINK, or tasks sink ENDPOINT N")
	}
	n, err := strconv.Atoi(os.Args[3])
	switch {
	case os.Args[1] == "worker":
		err = work(os.Args[2], os.Args[3])
	case err != nil:
	case os.Args[1] == "ventilator":
		err = ventilate(os.Args[2], n)
	default:
		err = gather(os.Args[2], n)
	}
	if err != nil {
		log.Fatal(err)
	}
}

func ventilate(endpoint string, n int) error {
	push, err := zmtp.NewSocket(zmtp.PUSH, nil)
	if err != nil {
		return err
	}
	at, err := push.Bind(endpoint)
	if err != nil {
		return err
	}
	fmt.Println("listening on", at)
	for i := range n {
		if err := push.Send([]byte(strconv.Itoa(i % 5))); err != nil { // milliseconds of work
			return err
		}
	}
	return push.Close() // once every task is with a worker
}

func work(ventilator, sink string) error {
	pull, err := zmtp.NewSocket(zmtp.PULL, nil)
	if err != nil {
		return err
	}
	push, err := zmtp.NewSocket(zmtp.PUSH, nil)
	if err != nil {
		return err
	}
	if err := pull.Connect(ventilator); err != nil {
		return err
	}
	if err := push.Connect(sink); err != nil {
		return err
	}
	for {
		task, err := pull.Recv()
		if err != nil {
			return err
		}
		milliseconds, err := strconv.Atoi(string(task[0]))
		if err != nil {
			return err
		}
		time.Sleep(time.Duration(milliseconds) * time.Millisecond)
		if err := push.Send(task[0]); err != nil {
			return err
		}
	}
}

func gather(endpoint string, n int) error {
	pull, err := zmtp.NewSocket(zmtp.PULL, nil)
	if err != nil {
		return err
	}
	at, err := pull.Bind(endpoint)
	if err != nil {
		return err
	}
	fmt.Println("listening on", at)
	total := 0
	for range n {
		result, err := pull.Recv()
		if err != nil {
			return err
		}
		milliseconds, err := strconv.Atoi(string(result[0]))
		if err != nil {
			return err
		}
		total += milliseconds
	}
	fmt.Printf("%d results, %d ms of work\n", n, total)
	return pull.Close()
}
