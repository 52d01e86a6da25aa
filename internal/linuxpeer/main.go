// Command linuxpeer lets tests of Windows that run under Wine use programs of the Linux around it.
//
// Wine has the network and /tmp in common with Linux, but a program of Linux that it starts cannot be waited for. So
// "linuxpeer serve FILE" runs on Linux and writes its address to FILE. The same program for Windows, with the name nc.exe
// say, has the server run nc with the same arguments, and carries standard input, output, error and the exit code. Paths
// in the arguments become those of Linux. Tests cannot tell the difference.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// addressVariable names the environment variable with the server's address.
const addressVariable = "SWITCHBOARD_LINUXPEER"

func main() {
	name := strings.TrimSuffix(filepath.Base(os.Args[0]), ".exe")
	if name == "linuxpeer" {
		if len(os.Args) != 3 || os.Args[1] != "serve" {
			fmt.Fprintln(os.Stderr, "usage: linuxpeer serve FILE")
			os.Exit(2)
		}
		fmt.Fprintln(os.Stderr, "linuxpeer:", serve(os.Args[2]))
		os.Exit(1)
	}
	code, err := run(os.Getenv(addressVariable), name, os.Args[1:])
	if err != nil {
		fmt.Fprintf(os.Stderr, "linuxpeer %s: %v\n", name, err)
		os.Exit(127)
	}
	os.Exit(code)
}
