package engine

import (
	"errors"
	"strings"
	"testing"

	"github.com/switchboard-go/switchboard/internal/uring"
)

func TestWhatTheKernelLacksIsNamedWithItsVersion(t *testing.T) {
	for feature, since := range map[uring.Feature]string{
		uring.IncrementalBuffers: "6.12", uring.DeferTaskrun: "6.1", uring.BufferRing: "5.19",
	} {
		err := checkRing(uring.Probe().Without(feature))
		if err == nil || !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), since) {
			t.Errorf("without %v: %v", feature, err)
		}
	}
}
