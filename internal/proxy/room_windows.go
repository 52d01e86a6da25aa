package proxy

import "math"

// Room returns how many clients this process has descriptors for. There is no limit here.
func Room() int { return math.MaxInt32 }
