//go:build freebsd || netbsd

package selector

// These kqueues have no filter for urgent data.
const (
	hasExceptFilter = false
	filterExcept    = 0
	noteUrgent      = 0
)
