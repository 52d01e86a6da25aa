package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// serve runs programs for clients on loopback until it is killed. It writes its address to the file.
func serve(file string) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, []byte(l.Addr().String()), 0o600); err != nil {
		return err
	}
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		go serveClient(conn)
	}
}

func serveClient(conn net.Conn) {
	defer conn.Close()
	var mu sync.Mutex
	exit := func(what string) { (frameWriter{&mu, conn, frameExit}).Write([]byte(what)) }
	_, p, err := readFrame(conn)
	if err != nil {
		return
	}
	var r request
	if err := json.Unmarshal(p, &r); err != nil {
		exit(err.Error())
		return
	}
	cmd := exec.Command(r.Name)
	for _, arg := range r.Args {
		cmd.Args = append(cmd.Args, linuxPaths(arg))
	}
	if dir := linuxPaths(r.Dir); isDirectory(dir) {
		cmd.Dir = dir
	}
	cmd.Stdout, cmd.Stderr = frameWriter{&mu, conn, frameOutput}, frameWriter{&mu, conn, frameError}
	input, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		exit(err.Error())
		return
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		feed(conn, input)
		cmd.Process.Kill() // the client is gone, or was killed
	}()
	err = cmd.Wait()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		exit(err.Error())
	} else {
		exit(strconv.Itoa(cmd.ProcessState.ExitCode()))
	}
	<-gone // input that nobody has read would make the close a reset, and lose the exit code
}

// feed passes standard input on, and returns when the client has gone.
func feed(conn net.Conn, input io.WriteCloser) {
	for {
		_, p, err := readFrame(conn)
		if err != nil {
			return
		}
		if len(p) == 0 {
			input.Close()
			continue
		}
		input.Write(p) // a program need not read all of it
	}
}

func isDirectory(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

var windowsPath = regexp.MustCompile(`\b[CZcz]:\\[^\s"',;]*`)

// linuxPaths turns the paths of Windows in an argument into those that Wine has them at.
func linuxPaths(arg string) string {
	return windowsPath.ReplaceAllStringFunc(arg, func(path string) string {
		rest := strings.ReplaceAll(path[2:], `\`, "/")
		if strings.EqualFold(path[:1], "z") {
			return rest
		}
		return filepath.Join(fmt.Sprintf("%s/drive_c", os.Getenv("WINEPREFIX")), rest)
	})
}
