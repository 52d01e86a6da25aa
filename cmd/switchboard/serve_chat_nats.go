package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/switchboard-go/switchboard/internal/chat"
	"github.com/switchboard-go/switchboard/room/natsroom"
)

// A natsJoining is what the flags of serve chat ask for that join it with other servers.
type natsJoining struct {
	urls     string
	name     string
	history  bool
	replicas int
}

func (j *natsJoining) addTo(flags *pflag.FlagSet) {
	flags.StringVar(&j.urls, "nats", "", "`URL` of NATS servers that connect this chat to others: nats://HOST:PORT, separated by commas")
	flags.StringVar(&j.name, "nats-name", "", "the name of this server on the others: user@NAME (default: the host name)")
	flags.BoolVar(&j.history, "nats-history", false, "keep the messages in JetStream: all servers have the same history, which survives them")
	flags.IntVar(&j.replicas, "nats-replicas", 1, "number of NATS servers that keep each message of --nats-history (1 to 5)")
}

// check tells what is wrong with the flags. file is --history-file.
func (j *natsJoining) check(file string, changed func(flag string) bool) error {
	switch {
	case j.name != "" && j.urls == "":
		return errors.New("--nats-name needs --nats")
	case strings.ContainsFunc(j.name, func(r rune) bool { return r <= ' ' || r == '@' || r >= 0x7f }):
		return fmt.Errorf("--nats-name %q: printable ASCII without spaces and @", j.name)
	case j.history && j.urls == "":
		return errors.New("--nats-history needs --nats")
	case j.history && file != "":
		return errors.New("--nats-history and --history-file: the messages are kept in one place only")
	case changed("nats-replicas") && !j.history:
		return errors.New("--nats-replicas needs --nats-history")
	case j.replicas < 1 || j.replicas > 5:
		return fmt.Errorf("--nats-replicas %d: 1 to 5", j.replicas)
	}
	if j.urls != "" && j.name == "" {
		host, err := os.Hostname()
		if err != nil {
			return failure{exitFailed, fmt.Errorf("--nats-name: %w", err)}
		}
		j.name = host
	}
	return nil
}

// join joins a chat with others. leave ends it.
func (j *natsJoining) join(config *chat.Config, log *slog.Logger) (leave func(), err error) {
	if j.urls == "" {
		return func() {}, nil
	}
	bridge, err := natsroom.Connect(j.urls, natsroom.Options{Prefix: "switchboard.chat", Name: j.name, Logger: log})
	if err != nil {
		return nil, failure{exitFailed, fmt.Errorf("--nats: %w", err)}
	}
	config.Bridge = bridge
	if !j.history {
		return bridge.Close, nil
	}
	kept, err := natsroom.NewLog(bridge, natsroom.LogOptions{Replicas: j.replicas, MaxRooms: chat.MostRooms})
	if err != nil {
		bridge.Close()
		return nil, failure{exitFailed, fmt.Errorf("--nats-history: %w", err)}
	}
	config.Log = kept
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := kept.Flush(ctx); err != nil {
			log.Error("messages are lost", "error", err)
		}
		bridge.Close()
	}, nil
}
