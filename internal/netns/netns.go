// Package netns gives tests a network of their own: a network namespace, in which they may make interfaces, set what
// the system would not let them set elsewhere, and disturb nobody.
package netns

import "os"

// variable is set in the process that has a network of its own.
const variable = "SWITCHBOARD_TEST_NETNS"

// Inside reports whether this process has a network of its own.
func Inside() bool { return os.Getenv(variable) != "" }
