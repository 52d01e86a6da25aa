package socket

import (
	"fmt"
	"strings"
	"testing"

	"github.com/switchboard-go/switchboard/internal/netns"
)

// What AI_ADDRCONFIG does depends on the addresses of the machine: here on those of the network of the test.
func TestConfiguredFamiliesAreCPythons(t *testing.T) {
	wantGlibc(t)
	if !netns.Enter(t) {
		return
	}
	const flag = 0x20 // AI_ADDRCONFIG
	netns.Run(t, "ip", "link", "add", "near", "type", "veth", "peer", "name", "far")
	netns.Run(t, "ip", "link", "set", "near", "addrgenmode", "none", "up")
	for _, change := range []string{
		"", "addr add 10.9.0.1/24 dev near", "addr add fd09::1/64 dev near nodad", "addr del 10.9.0.1/24 dev near",
	} {
		if change != "" {
			netns.Run(t, "ip", strings.Fields(change)...)
		}
		var questions [][]any
		for _, host := range []string{"127.0.0.1", "::1", ""} {
			for _, family := range []int{AF_UNSPEC, AF_INET, AF_INET6} {
				questions = append(questions, []any{host, 80, family, SOCK_STREAM, 0, flag})
			}
		}
		for i, want := range ask(t, "[[int(f), a[0]] for f, _, _, _, a in getaddrinfo(q[0] or None, *q[1:])]", questions) {
			q := questions[i]
			infos, err := GetAddrInfo(t.Context(), q[0].(string), "80", &AddrInfo{Family: q[2].(int), Type: SOCK_STREAM, Flags: AI_ADDRCONFIG})
			list := [][]any{}
			for _, i := range infos {
				list = append(list, []any{i.Family, i.Addr.AddrPort().Addr()})
			}
			same(t, fmt.Sprint("after ", change, ": ", q), inPython(t, list, err), want)
		}
	}
}
