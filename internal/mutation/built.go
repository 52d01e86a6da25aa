package main

import (
	"go/build"
	"path/filepath"
)

// builtHere tells whether a file belongs to the program on this system.
func builtHere(path string) bool {
	ok, err := build.Default.MatchFile(filepath.Dir(path), filepath.Base(path))
	return err == nil && ok
}
