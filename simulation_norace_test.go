//go:build linux && !race

package switchboard

// usualSeeds are played on each engine when nobody says how many.
const usualSeeds = 1000
