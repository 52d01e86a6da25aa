package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/switchboard-go/switchboard"
)

// onlyChecks does what is asked for in place of serving, when flags and files are checked and nothing is opened yet. It tells
// whether something is: --check, or a reload.
func (s *serving) onlyChecks(g loopService) (bool, error) {
	if !s.config.check && s.config.instead == nil {
		return false, nil
	}
	if g.addresses == nil {
		g.addresses = func() error {
			_, err := s.addresses()
			return err
		}
	}
	if err := g.addresses(); err != nil {
		return true, err
	}
	if err := s.admin.checkAll(s.logger()); err != nil {
		return true, err
	}
	if _, _, err := s.loop.tls.config(s.logger(), s.listen); err != nil {
		return true, err
	}
	if s.config.instead != nil {
		return true, s.config.instead(g)
	}
	_, err := io.WriteString(os.Stdout, "good: it serves "+g.name+"\n")
	return true, err
}

// readAgain returns what the command line and the file ask for by now, checked.
func readAgain() (fresh *serving, g loopService, err error) {
	fresh = &serving{}
	fresh.config.instead = func(made loopService) error {
		g = made
		return nil
	}
	root := rootCommandOf(fresh)
	root.SetArgs(os.Args[1:])
	return fresh, g, root.Execute()
}

// checkFiles makes sure that the files which flags name can be read without waiting: who has opened a pipe or a terminal waits for
// somebody to write.
func checkFiles(flags *pflag.FlagSet) (err error) {
	flags.VisitAll(func(flag *pflag.Flag) {
		items := []string{flag.Value.String()}
		if list, ok := flag.Value.(pflag.SliceValue); ok {
			items = list.GetSlice()
		}
		kind, _ := pflag.UnquoteUsage(flag)
		for _, item := range items {
			path, named := strings.CutPrefix(item, "@")
			if isFile := kind == "FILE" || kind == "NETWORK" && named; !isFile || path == "" || err != nil {
				continue
			}
			if bad := checkRegular(path); bad != nil {
				err = failure{exitFailed, fmt.Errorf("--%s: %w", flag.Name, bad)}
			}
		}
	})
	return err
}

// checkRegular makes sure that a file is a regular one, or the null device. One that is not there is another's concern.
func checkRegular(path string) error {
	info, err := os.Stat(path)
	if err != nil || info.Mode().IsRegular() || path == os.DevNull {
		return nil
	}
	return fmt.Errorf("%s is no regular file: others are read only at the start", path)
}

// reloadable are the flags that can change while the server runs. The others need a restart.
var reloadable = []string{"allow", "deny", "exempt", "conns-per-address", "conn-rate", "conn-burst", "to", "balance"}

// reloader returns what reads everything again that can be while server serves g, nil if there is nothing. certificates is
// what reads those, or nil.
func (s *serving) reloader(log *slog.Logger, g loopService, server *switchboard.Server, certificates func()) func() {
	isFile := func(item string) bool { return strings.HasPrefix(item, "@") }
	a := &s.loop.access
	if s.config.path == "" && !slices.ContainsFunc(slices.Concat(a.allow, a.deny, a.exempt), isFile) {
		return certificates
	}
	return func() {
		if certificates != nil {
			certificates()
		}
		fresh, now, err := readAgain()
		if err == nil && now.name != g.name {
			err = fmt.Errorf("the service is now %s, and this process serves %s: that needs a restart", now.name, g.name)
		}
		if err == nil && now.check != nil {
			err = now.check(servedAddrs(server))
		}
		if err == nil && g.reload != nil {
			err = g.reload(now)
		}
		if err != nil {
			log.Error("what changed cannot be used, all stays as it was", "error", err)
			return
		}
		if a.limiter != nil {
			a.limiter.Set(fresh.loop.access.rules)
		}
		s.config.warnOfOthers(log, &fresh.config)
		s.config.texts = fresh.config.texts
		log.Info("read again", "allow", len(fresh.loop.access.rules.Allow.Prefixes()), "deny", len(fresh.loop.access.rules.Deny.Prefixes()),
			"targets", len(now.targets))
	}
}

// warnOfOthers logs which flags have changed that are not heeded before a restart.
func (f *configFile) warnOfOthers(log *slog.Logger, fresh *configFile) {
	var names []string
	for name, text := range fresh.texts {
		if text != f.texts[name] && !slices.Contains(reloadable, name) {
			names = append(names, name)
		}
	}
	if slices.Sort(names); len(names) > 0 {
		log.Warn("what changed of these is heeded after a restart", "flags", strings.Join(names, ", "))
	}
}
