//go:build !linux

package main

// machineMemory is not known here.
func machineMemory() int64 { return 0 }

// groupMemory has no meaning here.
func groupMemory() int64 { return 0 }

// addressSpace is not looked at here.
func addressSpace() int64 { return 0 }
