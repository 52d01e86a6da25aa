package access

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
)

// A List is a set of networks. It does not change; any goroutine may use it. How long Contains takes depends on how many
// different lengths the prefixes have, not on how many prefixes there are. A nil List is empty.
type List struct {
	prefixes map[netip.Prefix]struct{}
	lengths4 []int // of the prefixes, each once
	lengths6 []int
}

// ParseList makes a List of networks and single addresses: "10.0.0.0/8", "192.0.2.1", "2001:db8::/32". A network must not have
// bits set behind its prefix: "10.0.0.1/8" is an error, because it is a slip more often than not.
func ParseList(items ...string) (*List, error) {
	l := &List{prefixes: map[netip.Prefix]struct{}{}}
	for _, item := range items {
		prefix, err := parsePrefix(item)
		if err != nil {
			return nil, err
		}
		l.add(prefix)
	}
	return l, nil
}

// ReadList makes a List of the lines of r. Empty lines do not count, nor does what follows a "#". name is what errors call r.
func ReadList(name string, r io.Reader) (*List, error) {
	l := &List{prefixes: map[netip.Prefix]struct{}{}}
	lines := bufio.NewScanner(r)
	number := 0
	for lines.Scan() {
		number++
		text, _, _ := strings.Cut(lines.Text(), "#")
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		prefix, err := parsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, number, err)
		}
		l.add(prefix)
	}
	err := lines.Err()
	if errors.Is(err, bufio.ErrTooLong) {
		err = fmt.Errorf("access: a line of more than %d bytes is no list of networks", bufio.MaxScanTokenSize)
	}
	if err != nil {
		return nil, fmt.Errorf("%s:%d: %w", name, number+1, err)
	}
	return l, nil
}

// Merge returns a List of what all lists have.
func Merge(lists ...*List) *List {
	all := &List{prefixes: map[netip.Prefix]struct{}{}}
	for _, l := range lists {
		if l != nil {
			for prefix := range l.prefixes {
				all.add(prefix)
			}
		}
	}
	return all
}

func parsePrefix(item string) (netip.Prefix, error) {
	if !strings.Contains(item, "/") {
		ip, err := netip.ParseAddr(item)
		if err != nil || ip.Zone() != "" {
			return netip.Prefix{}, fmt.Errorf("access: %q is neither an address nor a network (try 192.0.2.1, 10.0.0.0/8 or 2001:db8::/32)", item)
		}
		ip = ip.Unmap()
		return netip.PrefixFrom(ip, ip.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(item)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("access: %q is no network (try 10.0.0.0/8 or 2001:db8::/32)", item)
	}
	if prefix.Addr().Is4In6() {
		if prefix.Bits() < 96 {
			return netip.Prefix{}, fmt.Errorf("access: %q has IPv4 addresses mapped into IPv6, and its prefix is shorter than 96", item)
		}
		prefix = netip.PrefixFrom(prefix.Addr().Unmap(), prefix.Bits()-96)
	}
	if masked := prefix.Masked(); masked != prefix {
		return netip.Prefix{}, fmt.Errorf("access: %q has bits set behind its prefix (did you mean %v, or %v alone?)", item, masked, prefix.Addr())
	}
	return prefix, nil
}

func (l *List) add(prefix netip.Prefix) {
	l.prefixes[prefix] = struct{}{}
	lengths := &l.lengths6
	if prefix.Addr().Is4() {
		lengths = &l.lengths4
	}
	if at, found := slices.BinarySearch(*lengths, prefix.Bits()); !found {
		*lengths = slices.Insert(*lengths, at, prefix.Bits())
	}
}

// Contains tells whether one of the networks has ip. An IPv4 address that is mapped into IPv6 counts as an IPv4 address.
func (l *List) Contains(ip netip.Addr) bool {
	if l == nil {
		return false
	}
	ip = ip.Unmap().WithZone("")
	lengths := l.lengths6
	if ip.Is4() {
		lengths = l.lengths4
	}
	for _, n := range lengths {
		prefix, _ := ip.Prefix(n)
		if _, ok := l.prefixes[prefix]; ok {
			return true
		}
	}
	return false
}

// Prefixes returns the networks in order.
func (l *List) Prefixes() (all []netip.Prefix) {
	if l == nil {
		return nil
	}
	for prefix := range l.prefixes {
		all = append(all, prefix)
	}
	slices.SortFunc(all, func(a, b netip.Prefix) int {
		return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
	})
	return all
}
