// Package compare loads several servers in turn, in short slices and in random order, so that whatever the machine does
// meanwhile hits all of them alike, and puts the medians side by side.
package compare
