package rawio

// Ready tells which of reading and writing would not wait now.
func Ready(fd int, read, write bool) (canRead, canWrite bool) { return false, false }
