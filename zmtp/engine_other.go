//go:build !linux

package zmtp

const defaultEngine = ""
