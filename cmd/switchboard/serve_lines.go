package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/internal/handler"
)

func linesCommand(s *serving) *cobra.Command {
	longest := size(64 << 10)
	cmd := &cobra.Command{
		Use:   "lines",
		Short: "Answer each line with the line in upper case",
		Long: `Answer each line with the line in upper case: a small protocol of requests and replies.

Lines end with LF or CRLF; the last line needs no end. Replies end with LF. A client need not wait for a reply before the next
request. A line that is too long gets an error line, and the connection is closed. Over WebSocket a message is a line.`,
		Example: "  printf 'hello\\nworld' | switchboard dial 127.0.0.1:7007",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := s.checkLoop(cmd); err != nil {
				return err
			}
			most := s.loop.mostQueued()
			if longest+2 > s.loop.inputLimit || s.loop.highWater+2*longest > most {
				return fmt.Errorf("--max-line %s: --input-limit, %s, must hold one, and --queue-limit, %s, two and --high-water, %s",
					&longest, &s.loop.inputLimit, &most, &s.loop.highWater)
			}
			shout := handler.Lines(int(longest))
			return s.serveOnLoops(s.logger(), loopService{
				name: "lines",
				prepare: func(server *switchboard.Server) {
					server.Accept = func(*switchboard.Conn) (switchboard.Handler, error) { return shout, nil }
				},
				messages:      handler.Shout,
				moved:         handler.LinesMoved(shout),
				messagesMoved: handler.MessagesMoved(handler.Shout),
			})
		},
	}
	cmd.Flags().Var(&longest, "max-line", "limit of a line, without its end")
	return cmd
}
