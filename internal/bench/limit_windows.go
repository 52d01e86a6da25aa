package bench

// checkDescriptors has nothing to check: sockets are not limited by number.
func checkDescriptors(int) error { return nil }
