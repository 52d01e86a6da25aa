//go:build !linux

package netns

import "testing"

// Enter skips the test: only Linux has network namespaces.
func Enter(t *testing.T) bool {
	t.Helper()
	t.Skip("only Linux has network namespaces")
	return false
}
