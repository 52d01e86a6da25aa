// Package selector waits for many descriptors at once: which of them can be read or written without blocking?
package selector
