package chat

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/switchboard-go/switchboard/room"
)

// namesake tells a client of somebody on another server whose name looks like its own. Names are each server's: there they
// are followed by @ and the server's name. It returns "" if there is none in the room.
func (c *client) namesake(s *room.Subscription) string {
	names, _ := s.Room().Members()
	mine := skeleton(c.member.Name())
	for _, name := range names {
		if base, server, remote := strings.Cut(name, "@"); remote && skeleton(base) == mine {
			return fmt.Sprintf("%s is on another server (%s), with a name like yours: there yours is shown with this server's name behind it.", plain(name), plain(server))
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

// longestShown is how many bytes of a name from another server are shown.
const longestShown = 200

// plain returns a name as it may be shown. Names of other servers come from whoever may publish in NATS.
func plain(name string) string { return shorten(cleanText(name), longestShown) }

func allPlain(names []string) []string {
	all := make([]string, len(names))
	for i, name := range names {
		all[i] = plain(name)
	}
	return all
}

// shorten cuts text after at most so many bytes, between two characters.
func shorten(text string, most int) string {
	if len(text) <= most {
		return text
	}
	for most > 0 && !utf8.RuneStart(text[most]) {
		most--
	}
	return text[:most]
}

// publisher returns the name of who said m. No name of another server can be taken for one of this server.
func publisher(m *room.Message) string {
	name := plain(m.From)
	if m.Remote && !strings.Contains(name, "@") {
		name += "@?"
	}
	return name
}

// textOf returns what m says.
func textOf(m *room.Message) string { return shorten(cleanText(string(m.Data)), LongestText) }
