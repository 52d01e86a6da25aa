//go:build race

package switchboard_test

// mostAllocations is more with the race detector, under which a sync.Pool drops a quarter of what it is given.
const mostAllocations = 1.5
