package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/access"
	"github.com/switchboard-go/switchboard/proxyproto"
)

// accessFlags say who may connect, and which proxies are believed who they connect for.
type accessFlags struct {
	allow, deny, exempt []string
	perAddress          int
	rate                float64
	burst               int
	proxies             []string

	mayChange bool // by a configuration file

	// What check makes of them.
	rules    access.Rules
	limiter  *access.Limiter // of all servers of this process; nil: there are no rules yet
	receiver *proxyproto.Receiver
}

// accessNames are the flags, for services that have no use for them.
var accessNames = []string{"allow", "deny", "exempt", "conns-per-address", "conn-rate", "conn-burst", "proxy-protocol-from"}

// add adds the flags to those that only event loops have.
func (f *accessFlags) add(flags *pflag.FlagSet) {
	flags.StringSliceVar(&f.allow, "allow", nil, "`NETWORK` whose clients are served, and no others: 10.0.0.0/8, 192.0.2.1, or @FILE with one a line;\n"+
		"any number of times")
	flags.StringSliceVar(&f.deny, "deny", nil, "`NETWORK` whose clients are reset, even if --allow has them; any number of times")
	flags.IntVar(&f.perAddress, "conns-per-address", 0, "clients at once from one address, or one /64 of IPv6 (0: no limit)")
	flags.Float64Var(&f.rate, "conn-rate", 0, "new clients per second from one address, or one /64 of IPv6 (0: no limit)")
	flags.IntVar(&f.burst, "conn-burst", 0, "new clients at once from an address that has rested (default one second of --conn-rate)")
	flags.StringSliceVar(&f.exempt, "exempt", nil, "`NETWORK` to which --conns-per-address and --conn-rate do not apply; any number of times")
	flags.StringSliceVar(&f.proxies, "proxy-protocol-from", nil, "`NETWORK` of proxies that begin with a header of the PROXY protocol, which says\n"+
		"for whom they connect, or unix for those on Unix sockets; any number of times")
}

// check makes sure that the flags make sense together, and reads the lists.
func (f *accessFlags) check() error {
	switch {
	case f.allow != nil && len(f.allow) == 0:
		return errors.New("--allow: the list is empty, and no client would be served")
	case f.perAddress < 0:
		return fmt.Errorf("--conns-per-address %d: it cannot be negative (0 is without limit)", f.perAddress)
	case !(f.rate >= 0 && f.rate <= 1e9):
		return fmt.Errorf("--conn-rate %v: 0 to 1e9 (0 is without limit)", f.rate)
	case f.burst < 0:
		return fmt.Errorf("--conn-burst %d: it cannot be negative", f.burst)
	case f.burst > 0 && f.rate == 0:
		return errors.New("--conn-burst needs --conn-rate")
	case len(f.exempt) > 0 && f.rate == 0 && f.perAddress == 0:
		return errors.New("--exempt needs --conns-per-address or --conn-rate")
	}
	var proxies []string
	unix := false
	for _, item := range f.proxies {
		if item == "unix" {
			unix = true
		} else {
			proxies = append(proxies, item)
		}
	}
	from, err := networks("proxy-protocol-from", proxies)
	if err != nil {
		return err
	}
	f.receiver = nil
	if len(f.proxies) > 0 {
		f.receiver = &proxyproto.Receiver{From: from.Prefixes(), FromUnix: unix}
	}
	rules := access.Rules{PerAddress: f.perAddress, Rate: f.rate, Burst: f.burst}
	for _, l := range []struct {
		name  string
		items []string
		to    **access.List
	}{{"allow", f.allow, &rules.Allow}, {"deny", f.deny, &rules.Deny}, {"exempt", f.exempt, &rules.Exempt}} {
		if *l.to, err = networks(l.name, l.items); err != nil {
			return err
		}
	}
	if len(proxies) > 0 { // what they say of themselves is a health check
		rules.Exempt = access.Merge(rules.Exempt, from)
		if rules.Allow != nil {
			rules.Allow = access.Merge(rules.Allow, from)
		}
	}
	f.rules = rules
	return nil
}

// networks reads the values of a flag. It is nil without any.
func networks(flag string, items []string) (*access.List, error) {
	if len(items) == 0 {
		return nil, nil
	}
	all := access.Merge()
	for _, item := range items {
		var l *access.List
		var err error
		if path, ok := strings.CutPrefix(item, "@"); ok {
			l, err = readNetworks(path)
		} else {
			l, err = access.ParseList(item)
		}
		if err != nil {
			return nil, fmt.Errorf("--%s: %w", flag, err)
		}
		all = access.Merge(all, l)
	}
	return all, nil
}

func readNetworks(path string) (*access.List, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return access.ReadList(path, f)
}

// admission returns what asks about new clients, of every server of this process.
func (f *accessFlags) admission() (all []switchboard.Admitter) {
	if f.receiver != nil {
		all = append(all, f.receiver)
	}
	if f.limiter == nil && (f.mayChange || f.rules != access.Rules{}) {
		f.limiter = access.New(f.rules)
	}
	if f.limiter != nil {
		all = append(all, f.limiter)
	}
	return all
}
