package main

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
)

// flagFiles are the flags that name files, with the files that each one names.
type flagFiles []struct {
	flag  string
	files []string
}

// fileFailure says which of the flags named the file that err is about. An error about what is in files names all the flags
// that have some.
func fileFailure(err error, flags flagFiles) error {
	var file *fs.PathError
	names := ""
	for _, f := range flags {
		switch {
		case errors.As(err, &file) && slices.Contains(f.files, file.Path):
			return failure{exitFailed, fmt.Errorf("%s: %w", f.flag, err)}
		case len(f.files) > 0 && names != "":
			names += " and "
			fallthrough
		case len(f.files) > 0:
			names += f.flag
		}
	}
	return failure{exitFailed, fmt.Errorf("%s: %w", names, err)}
}
