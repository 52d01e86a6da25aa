package chat

import (
	"fmt"
	"strings"

	"github.com/switchboard-go/switchboard/room"
)

// namesake tells a client of somebody on another server whose name looks like its own. Names are each server's: there they
// are followed by @ and the server's name. It returns "" if there is none in the room.
func (c *client) namesake(s *room.Subscription) string {
	names, _ := s.Room().Members()
	mine := skeleton(c.member.Name())
	for _, name := range names {
		if base, server, remote := strings.Cut(name, "@"); remote && skeleton(base) == mine {
			return fmt.Sprintf("%s is on another server (%s), with a name like yours: there yours is shown with this server's name behind it.", name, server)
		}
	}
	return ""
}

// namesakes tells of those in all rooms of the client.
func (c *client) namesakes(tell func(text string)) {
	for _, s := range c.member.Joined() {
		if text := c.namesake(s); text != "" {
			tell(text)
			return
		}
	}
}
