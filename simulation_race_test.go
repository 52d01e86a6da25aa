//go:build linux && race

package switchboard

// usualSeeds are fewer with the race detector, which makes a run some ten times as long and has nothing to see in one goroutine.
const usualSeeds = 150
