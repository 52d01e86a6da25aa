//go:build linux

package main

import _ "embed"

//go:embed testdata/libzmq.c
var cSource []byte
