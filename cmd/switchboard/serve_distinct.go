package main

import (
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strings"
)

// A place is an address to listen on, and the flag that has it.
type place struct {
	flag, text string
}

// placesOf are those of a flag that may be repeated.
func placesOf(flag string, texts []string) (all []place) {
	for _, text := range texts {
		all = append(all, place{flag, text})
	}
	return all
}

// places are those of the flags that every service has.
func (s *serving) places() []place {
	return append(placesOf("--listen", s.listen), place{"--admin", s.admin.address})
}

// checkDistinct makes sure that no two places are the same. Those that are no addresses are another's concern.
func checkDistinct(all []place) error {
	for i, b := range all {
		at := slices.IndexFunc(all[:i], func(a place) bool { return meet(a.text, b.text) })
		if at >= 0 {
			return fmt.Errorf("%s %s and %s %s are the same address: each needs one of its own", all[at].flag, all[at].text, b.flag, b.text)
		}
	}
	return nil
}

// meet tells whether nobody can listen on both addresses.
func meet(text, other string) bool {
	a, err := parseAddress(text)
	b, bad := parseAddress(other)
	if err != nil || bad != nil {
		return false
	}
	host, port, err := net.SplitHostPort(a.name)
	otherHost, otherPort, bad := net.SplitHostPort(b.name)
	if a.network == "unix" || err != nil || bad != nil {
		return a == b
	}
	if number, err := net.LookupPort("tcp", port); err == nil && number == 0 {
		return false // the kernel chooses
	} else if another, err := net.LookupPort("tcp", otherPort); err != nil || another != number {
		return false
	}
	return strings.EqualFold(host, otherHost) || covers(host, otherHost) || covers(otherHost, host)
}

// covers tells whether who listens on all of a host listens on another one's address.
func covers(host, other string) bool {
	all, _ := netip.ParseAddr(host)
	one, err := netip.ParseAddr(other)
	switch {
	case err == nil && all.IsValid() && all == one:
		return true
	case runtime.GOOS != "linux": // elsewhere the more special address may be another's
		return false
	case host == "": // both families
		return err == nil
	}
	return all.IsValid() && all.IsUnspecified() && err == nil && all.Is4() == one.Is4()
}
