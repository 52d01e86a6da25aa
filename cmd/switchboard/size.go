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
	bytes  size
}{{"G", 1 << 30}, {"M", 1 << 20}, {"k", 1 << 10}}

// Set implements pflag.Value. Units are of 1024, in either case, and may be written out: 64K, 64kB, 64KiB.
func (z *size) Set(s string) error {
	number, unit := s, size(1)
	for _, u := range sizeUnits {
		if i := strings.IndexAny(s, u.letter+strings.ToLower(u.letter)+strings.ToUpper(u.letter)); i > 0 {
			switch strings.ToLower(s[i+1:]) {
			case "", "b", "ib":
				number, unit = s[:i], u.bytes
			}
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 1 || n > (1<<30)/int64(unit) {
		return fmt.Errorf("it is not a size of 1 byte to 1G (try 4096, 64k or 1M)")
	}
	*z = size(n) * unit
	return nil
}

// String implements pflag.Value, in the largest unit that leaves a whole number.
func (z *size) String() string {
	for _, u := range sizeUnits {
		if *z > 0 && *z%u.bytes == 0 {
			return strconv.Itoa(int(*z/u.bytes)) + u.letter
		}
	}
	return strconv.Itoa(int(*z))
}

// Type implements pflag.Value: what the help calls it.
func (z *size) Type() string { return "size" }
