package main

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// A reportFile is opened before the work that it reports of, which takes its time: a name that cannot be written to is
// known at once. nil is one that nobody asked for.
type reportFile struct {
	*os.File
	written bool
}

// newReport opens the file that a flag names, and leaves what is in it until there is something new.
func newReport(flag, name string) (*reportFile, error) {
	if name == "" {
		return nil, nil
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE, 0o666)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	return &reportFile{File: f}, nil
}

func (r *reportFile) write(report func(io.Writer) error) error {
	if r == nil {
		return nil
	}
	r.written = true
	if info, err := r.Stat(); err == nil && info.Mode().IsRegular() {
		if err := r.Truncate(0); err != nil {
			return err
		}
	}
	return errors.Join(report(r), r.Close())
}

// close takes an empty file away that was made for a report which did not come about.
func (r *reportFile) close() {
	if r == nil || r.written {
		return
	}
	info, err := r.Stat()
	r.Close()
	if err == nil && info.Mode().IsRegular() && info.Size() == 0 {
		os.Remove(r.Name())
	}
}
