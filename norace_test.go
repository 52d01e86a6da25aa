//go:build !race

package switchboard_test

// mostAllocations is for what the runtime does beside.
const mostAllocations = 0.02
