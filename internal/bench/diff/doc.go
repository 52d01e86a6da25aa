// Package diff compares the results of two runs of package bench, and says of each figure whether its difference is real.
package diff
