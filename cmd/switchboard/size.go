package main

import (
	"fmt"
	"strconv"
	"strings"
)

// A size is a flag's number of bytes, of at least one: 4096, 64k, 1M.
type size int

var sizeUnits = []struct {
	letter string
	bytes  int64
}{{"G", 1 << 30}, {"M", 1 << 20}, {"k", 1 << 10}}

// Set implements pflag.Value.
func (z *size) Set(s string) error {
	n, err := parseSize(s, 1<<30)
	if err == nil {
		*z = size(n)
	}
	return err
}

// parseSize reads a number of bytes, from 1 to most. Units are of 1024, in either case, and may be written out: 64K, 64kB, 64KiB.
func parseSize(s string, most int64) (int64, error) {
	number, unit := s, int64(1)
	for _, u := range sizeUnits {
		if i := strings.IndexAny(s, u.letter+strings.ToLower(u.letter)+strings.ToUpper(u.letter)); i > 0 {
			switch strings.ToLower(s[i+1:]) {
			case "", "b", "ib":
				number, unit = s[:i], u.bytes
			}
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 1 || n > most/unit {
		return 0, fmt.Errorf("it is not a size of 1 byte to %s (try 4096, 64k or 1M)", formatSize(most))
	}
	return n * unit, nil
}

// String implements pflag.Value.
func (z *size) String() string { return formatSize(int64(*z)) }

// formatSize writes n in the largest unit that leaves a whole number.
func formatSize(n int64) string {
	for _, u := range sizeUnits {
		if n > 0 && n%u.bytes == 0 {
			return strconv.FormatInt(n/u.bytes, 10) + u.letter
		}
	}
	return strconv.FormatInt(n, 10)
}

// Type implements pflag.Value: what the help calls it.
func (z *size) Type() string { return "size" }
