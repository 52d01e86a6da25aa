package bench

import (
	"errors"
	"fmt"
	"net/netip"
)

func bindTo([]netip.Addr) func(fd int) error {
	return func(int) error { return fmt.Errorf("--source on windows: %w", errors.ErrUnsupported) }
}
