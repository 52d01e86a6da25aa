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

// The numbers of Windows are those of the headers for Windows' C, as far as these have the names. The
// others, MSG_DONTWAIT for one, are this package's own.
func TestConstantsOfWindowsAreThoseOfItsHeaders(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the compiler for Windows is Linux's mingw")
	}
	all := constantsOf(t, "windows")
	compile := func(names []string) (assembly, complaint string) {
		var source strings.Builder
		source.WriteString("#define _WIN32_WINNT 0x0a00\n#include <winsock2.h>\n#include <ws2tcpip.h>\n#include <afunix.h>\n")
		for _, name := range names {
			fmt.Fprintf(&source, "const long long v_%[1]s = %[1]s;\n", name)
		}
		cmd := program(t, "x86_64-w64-mingw32-gcc", "-S", "-o", "-", "-x", "c", "-")
		cmd.Stdin = strings.NewReader(source.String())
		var says strings.Builder
		cmd.Stderr = &says
		out, _ := cmd.Output()
		return string(out), says.String()
	}
	names := slices.Sorted(maps.Keys(all))
	_, complaint := compile(names)
	for _, m := range regexp.MustCompile(`[‘'](\w+)[’'] undeclared`).FindAllStringSubmatch(complaint, -1) {
		names = slices.DeleteFunc(names, func(name string) bool { return name == m[1] })
	}
	assembly, complaint := compile(names)
	theirs := map[string]int64{}
	for _, m := range regexp.MustCompile(`(?m)^v_(\w+):\s+\.(quad|space)\s+(-?\d+)`).FindAllStringSubmatch(assembly, -1) {
		v, err := strconv.ParseInt(m[3], 10, 64)
		noError(t, err)
		if m[2] == "space" { // so many bytes of zero
			v = 0
		}
		theirs[m[1]] = v
	}
	if len(theirs) < 60 {
		t.Fatalf("only %d of %d constants were compiled: %s", len(theirs), len(names), complaint)
	}
	for name, v := range theirs {
		if all[name] != v {
			t.Errorf("%s is %d, and %d in the headers", name, all[name], v)
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
