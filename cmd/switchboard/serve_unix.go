package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/switchboard-go/switchboard/socket"
)

// unixFlags say who may connect to the Unix sockets that serve listens on.
type unixFlags struct {
	mode  string
	owner string

	bits     fs.FileMode // of mode
	uid, gid int         // of owner; -1: as it is

	made []string // paths at which listen has made files
}

func (f *unixFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.mode, "socket-mode", "", "octal `MODE` of the files of Unix sockets, such as 0660")
	flags.StringVar(&f.owner, "socket-owner", "", "owner of the files of Unix sockets: `USER[:GROUP]` or :GROUP")
}

// check makes sure that the flags make sense, and finds the owner.
func (f *unixFlags) check(listen []string) error {
	if f.mode == "" && f.owner == "" {
		return nil
	}
	files := 0
	for _, text := range listen {
		if a, err := parseAddress(text); err == nil && a.network == "unix" && a.name[0] != '@' {
			files++
		}
	}
	if files == 0 {
		return errors.New("--socket-mode and --socket-owner are for --listen unix:PATH")
	}
	if f.mode != "" {
		bits, err := strconv.ParseUint(f.mode, 8, 9)
		if err != nil {
			return fmt.Errorf("--socket-mode %q: not an octal mode (try 0660)", f.mode)
		}
		f.bits = fs.FileMode(bits)
	}
	var err error
	f.uid, f.gid, err = findOwner(f.owner)
	return err
}

// findOwner reads USER, USER:GROUP or :GROUP, by name or number. What is not named is -1.
func findOwner(text string) (uid, gid int, err error) {
	uid, gid = -1, -1
	name, group, _ := strings.Cut(text, ":")
	if name != "" {
		if uid, err = strconv.Atoi(name); err != nil {
			found, err := user.Lookup(name)
			if err != nil {
				return 0, 0, fmt.Errorf("--socket-owner %q: %w", text, err)
			}
			uid, _ = strconv.Atoi(found.Uid)
		}
	}
	if group != "" {
		if gid, err = strconv.Atoi(group); err != nil {
			found, err := user.LookupGroup(group)
			if err != nil {
				return 0, 0, fmt.Errorf("--socket-owner %q: %w", text, err)
			}
			gid, _ = strconv.Atoi(found.Gid)
		}
	}
	return uid, gid, nil
}

// listen is listen, with the file of a Unix socket as the flags say. Nobody else can connect before it is.
func (f *unixFlags) listen(a address) (*socket.Socket, error) {
	l, err := f.listenAt(a)
	if err == nil && a.network == "unix" && a.name[0] != '@' {
		f.made = append(f.made, a.name)
	}
	return l, err
}

func (f *unixFlags) listenAt(a address) (*socket.Socket, error) {
	if f.mode == "" && f.owner == "" || a.network != "unix" || a.name[0] == '@' {
		return listen(a)
	}
	restore := hideNewFiles()
	l, err := listen(a)
	bits := restore()
	if err != nil {
		return nil, err
	}
	if f.mode != "" {
		bits = f.bits
	}
	if f.uid >= 0 || f.gid >= 0 {
		err = os.Chown(a.name, f.uid, f.gid)
	}
	if err == nil {
		err = os.Chmod(a.name, bits) // after chown, which takes bits away
	}
	if err != nil {
		l.Close()
		return nil, fmt.Errorf("listen %s: %w", a, err)
	}
	return l, nil
}
