//go:build unix

package socket

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/build"
	"go/constant"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// knownConstants are those that constantsOf has found, by system.
var knownConstants = map[string]map[string]int64{}

// constantsOf returns the exported constants that this package has on a system, with their values.
func constantsOf(t *testing.T, system string) map[string]int64 {
	t.Helper()
	if all := knownConstants[system]; all != nil {
		return all
	}
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("it needs the sources of Go's packages:", err)
	}
	context := build.Default
	context.GOOS = system
	names, err := filepath.Glob("constants_*.go")
	noError(t, err)
	set := token.NewFileSet()
	var files []*ast.File
	for _, name := range names {
		match, err := context.MatchFile(".", name)
		noError(t, err)
		if !match || strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(set, name, nil, 0)
		noError(t, err)
		files = append(files, f)
	}
	config := types.Config{Importer: importer.ForCompiler(set, "source", nil)}
	p, err := config.Check("socket", set, files, nil)
	noError(t, err)
	all := map[string]int64{}
	for _, name := range p.Scope().Names() {
		c, ok := p.Scope().Lookup(name).(*types.Const)
		if !ok || !c.Exported() {
			continue
		}
		v, exact := constant.Int64Val(c.Val())
		if !exact {
			t.Fatalf("%s is %v", name, c.Val())
		}
		all[name] = v
	}
	knownConstants[system] = all
	return all
}

// Where Python has a constant of the same name, it has the same value.
func TestConstantsAreCPythons(t *testing.T) {
	var theirs map[string]int64
	noError(t, json.Unmarshal([]byte(python(t, `
import json, socket
print(json.dumps({name: int(getattr(socket, name)) for name in dir(socket)
	if name.isupper() and isinstance(getattr(socket, name), int)}))`)), &theirs))
	compared := 0
	for name, v := range constantsOf(t, runtime.GOOS) {
		value, ok := theirs[name]
		if !ok {
			continue
		}
		compared++
		if runtime.GOOS == "darwin" && (name == "SOCK_NONBLOCK" || name == "SOCK_CLOEXEC") {
			continue // this package's own
		}
		if value != v && uint32(value) != uint32(v) { // VMADDR_CID_ANY is unsigned in one of them
			t.Errorf("%s is %d, and %d in Python", name, v, value)
		}
	}
	if compared < 80 {
		t.Errorf("only %d constants were compared", compared)
	}
}

// compiledForWindows returns the values of expressions in C for Windows, by their place in the list, and what the compiler
// complains about.
func compiledForWindows(t *testing.T, expressions []string) (values map[int]int64, complaint string) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("the compiler for Windows is Linux's mingw")
	}
	var source strings.Builder
	source.WriteString("#define _WIN32_WINNT 0x0a00\n#include <winsock2.h>\n#include <ws2tcpip.h>\n#include <afunix.h>\n#include <stddef.h>\n")
	for i, x := range expressions {
		fmt.Fprintf(&source, "const long long v%d = %s;\n", i, x)
	}
	cmd := program(t, "x86_64-w64-mingw32-gcc", "-S", "-o", "-", "-x", "c", "-")
	cmd.Stdin = strings.NewReader(source.String())
	var says strings.Builder
	cmd.Stderr = &says
	assembly, _ := cmd.Output()
	values = map[int]int64{}
	for _, m := range regexp.MustCompile(`(?m)^v(\d+):\s+\.(quad|space)\s+(-?\d+)`).FindAllStringSubmatch(string(assembly), -1) {
		i, err := strconv.Atoi(m[1])
		noError(t, err)
		v, err := strconv.ParseInt(m[3], 10, 64)
		noError(t, err)
		if m[2] == "space" { // so many bytes of zero
			v = 0
		}
		values[i] = v
	}
	return values, says.String()
}

// The numbers of Windows are those of the headers for Windows' C, as far as these have the names. The
// others, MSG_DONTWAIT for one, are this package's own.
func TestConstantsOfWindowsAreThoseOfItsHeaders(t *testing.T) {
	all := constantsOf(t, "windows")
	names := slices.Sorted(maps.Keys(all))
	_, complaint := compiledForWindows(t, names)
	for _, m := range regexp.MustCompile(`[‘'](\w+)[’'] undeclared`).FindAllStringSubmatch(complaint, -1) {
		names = slices.DeleteFunc(names, func(name string) bool { return name == m[1] })
	}
	theirs, complaint := compiledForWindows(t, names)
	if len(theirs) < 60 {
		t.Fatalf("only %d of %d constants were compiled: %s", len(theirs), len(names), complaint)
	}
	for i, v := range theirs {
		if name := names[i]; all[name] != v {
			t.Errorf("%s is %d, and %d in the headers", name, all[name], v)
		}
	}
}

func TestLayoutsOfWindowsAreThoseOfItsHeaders(t *testing.T) {
	expressions := slices.Sorted(maps.Keys(windowsLayout))
	theirs, complaint := compiledForWindows(t, expressions)
	if len(theirs) != len(expressions) {
		t.Fatal(complaint)
	}
	for i, x := range expressions {
		if v := windowsLayout[x]; int64(v) != theirs[i] {
			t.Errorf("%s is %d, and %d in the headers", x, v, theirs[i])
		}
	}
}

// Every constant that programs miss most is there.
func TestEverydayConstantsAreThere(t *testing.T) {
	everywhere := strings.Fields(`AF_INET AF_INET6 AF_UNIX SOCK_STREAM SOCK_DGRAM SOCK_RAW SOCK_NONBLOCK SOCK_CLOEXEC
		IPPROTO_ICMP IPPROTO_ICMPV6 IPPROTO_RAW IPPROTO_TCP IPPROTO_UDP IP_HDRINCL IP_TOS IP_TTL IP_RECVTTL
		IP_ADD_MEMBERSHIP IP_DROP_MEMBERSHIP IP_MULTICAST_IF IP_MULTICAST_LOOP IP_MULTICAST_TTL
		IPV6_JOIN_GROUP IPV6_LEAVE_GROUP IPV6_MULTICAST_HOPS IPV6_MULTICAST_IF IPV6_MULTICAST_LOOP
		IPV6_PKTINFO IPV6_HOPLIMIT IPV6_TCLASS IPV6_RECVTCLASS IPV6_V6ONLY
		MSG_PEEK MSG_OOB MSG_WAITALL MSG_DONTWAIT MSG_NOSIGNAL SO_RCVTIMEO SO_SNDTIMEO TCP_NODELAY TCP_MAXSEG SOMAXCONN`)
	keepAlive := strings.Fields("TCP_KEEPCNT TCP_KEEPIDLE TCP_KEEPINTVL IP_RECVTOS TCP_FASTOPEN")
	more := map[string][]string{
		"linux": strings.Fields(`SO_BINDTODEVICE SO_DOMAIN SO_PROTOCOL SO_PEERCRED SCM_CREDENTIALS TCP_CORK TCP_INFO
			TCP_QUICKACK TCP_USER_TIMEOUT TCP_CONGESTION TCP_DEFER_ACCEPT MSG_MORE MSG_ERRQUEUE IPV6_RECVPKTINFO
			IPV6_RECVHOPLIMIT AF_VSOCK AF_NETLINK AF_PACKET UDP_SEGMENT UDP_GRO`),
		"windows": {"SO_EXCLUSIVEADDRUSE"},
	}
	for _, system := range []string{runtime.GOOS, "windows"} {
		all := constantsOf(t, system)
		wanted := slices.Concat(everywhere, more[system])
		if system == "linux" || system == "windows" {
			wanted = append(wanted, keepAlive...)
		}
		for _, name := range wanted {
			if _, ok := all[name]; !ok {
				t.Errorf("%s has no %s", system, name)
			}
		}
	}
}
