// Weather is the guide's weather service: a PUB that tells zip codes, temperatures and humidities, and a SUB that asks for
// one zip code and averages.
//
//	go run ./examples/zguide/weather server tcp://127.0.0.1:5556
//	go run ./examples/zguide/weather client tcp://127.0.0.1:5556 10001
package main

import (
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"time"

	"github.com/switchboard-go/switchboard/zmtp"
)

func main() {
	log.SetFlags(0)
	var err error
	switch {
	case len(os.Args) == 3 && os.Args[1] == "server":
		err = publish(os.Args[2])
	case len(os.Args) == 4 && os.Args[1] == "client":
		err = average(os.Args[2], os.Args[3])
	default:
		log.Fatal("usage: weather server ENDPOINT, or weather client ENDPOINT ZIPCODE")
	}
	if err != nil {
		log.Fatal(err)
	}
}

func publish(endpoint string) error {
	pub, err := zmtp.NewSocket(zmtp.PUB, nil)
	if err != nil {
		return err
	}
	defer pub.Close()
	at, err := pub.Bind(endpoint)
	if err != nil {
		return err
	}
	fmt.Println("listening on", at)
	// Whoever does not subscribe to a zip code costs the network nothing: the publisher filters.
	for range time.Tick(10 * time.Millisecond) {
		for zip := 10000; zip < 10010; zip++ {
			update := fmt.Sprintf("%05d %d %d", zip, rand.IntN(215)-80, rand.IntN(50)+10)
			if err := pub.Send([]byte(update)); err != nil {
				return err
			}
		}
	}
	return nil
}

func average(endpoint, zip string) error {
	sub, err := zmtp.NewSocket(zmtp.SUB, nil)
	if err != nil {
		return err
	}
	defer sub.Close()
	if err := sub.Subscribe(zip + " "); err != nil {
		return err
	}
	if err := sub.Connect(endpoint); err != nil {
		return err
	}
	total := 0
	const updates = 20
	for range updates {
		parts, err := sub.Recv()
		if err != nil {
			return err
		}
		code, temperature, humidity := "", 0, 0
		if _, err := fmt.Sscan(string(parts[0]), &code, &temperature, &humidity); err != nil {
			return err
		}
		if code != zip {
			return fmt.Errorf("an update for %s, not %s", code, zip)
		}
		total += temperature
	}
	fmt.Printf("average temperature for zip code %s was %d\n", zip, total/updates)
	return nil
}
