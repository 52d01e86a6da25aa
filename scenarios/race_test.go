//go:build race

package scenarios

// mostAllocations is more with the race detector, under which a sync.Pool drops a quarter of what it is given.
const mostAllocations = 1.5
