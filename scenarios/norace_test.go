//go:build !race

package scenarios

// mostAllocations is for what the runtime does beside.
const mostAllocations = 0.02
