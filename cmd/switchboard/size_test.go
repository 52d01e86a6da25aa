package main

import "testing"

func TestSizesAreReadWithUnits(t *testing.T) {
	for in, want := range map[string]size{
		"1": 1, "4096": 4096, "64k": 64 << 10, "64K": 64 << 10, "64kB": 64 << 10, "64KiB": 64 << 10,
		"1M": 1 << 20, "3m": 3 << 20, "1MiB": 1 << 20, "1G": 1 << 30,
	} {
		var got size
		if err := got.Set(in); err != nil || got != want {
			t.Errorf("%q: %d, %v, want %d", in, got, err, want)
		}
		var again size
		if err := again.Set(got.String()); err != nil || again != got {
			t.Errorf("%q is written as %q, which reads as %d, %v", in, &got, again, err)
		}
	}
	for _, in := range []string{"", "0", "-1", "k", "1kk", "1.5M", "1 M", "2G", "1T", "99999999999999999999", "0x10", "1kM", "G1"} {
		var got size
		if err := got.Set(in); err == nil {
			t.Errorf("%q is taken for %d", in, got)
		}
	}
}

// What all clients may hold can be more than one of them may: the default of a machine with 24 GiB is 6G.
func TestTheMemoryLimitMayBeAsMuchAsAMachineHas(t *testing.T) {
	for in, want := range map[string]int64{"0": 0, "1M": 1 << 20, "2G": 2 << 30, "6026M": 6026 << 20, "4096g": 1 << 42} {
		var got memoryLimit
		if err := got.Set(in); err != nil || got.n != want {
			t.Errorf("%q: %d, %v, want %d", in, got.n, err, want)
		}
		var again memoryLimit
		if err := again.Set(got.String()); err != nil || again.n != got.n {
			t.Errorf("%q is written as %q, which reads as %d, %v", in, &got, again.n, err)
		}
	}
	for _, in := range []string{"", "-1", "1.5G", "9223372036854775807", "9999999999G"} {
		var got memoryLimit
		if err := got.Set(in); err == nil {
			t.Errorf("%q is taken for %d", in, got.n)
		}
	}
}

// Whatever is accepted is written back in a form that reads as the same size.
func FuzzSize(f *testing.F) {
	for _, s := range []string{"1", "64k", "1M", "3MiB", "1G", "2G", "k", "0x1", "-1", "1.5k", "9999999999k"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var z, again size
		if z.Set(s) != nil {
			return
		}
		if err := again.Set(z.String()); err != nil || again != z || z < 1 || z > 1<<30 {
			t.Errorf("%q is %d, but its String %q is %d, %v", s, z, &z, again, err)
		}
	})
}
