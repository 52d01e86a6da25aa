package bench

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
)

// listeners finds the processes that serve the address at the other end of a connection, when that is on this host and
// this process may look: those that have the listening socket open, without those that they have started (proc(5)).
func listeners(server, client net.Addr) []int {
	var inodes []string
	switch a := server.(type) {
	case *net.TCPAddr:
		if local, ok := client.(*net.TCPAddr); !ok || !isHere(a.IP, local.IP) {
			return nil
		}
		ap := a.AddrPort()
		for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
			inodes = append(inodes, listening(file, netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port()))...)
		}
	case *net.UnixAddr:
		inodes = listeningAt(a.Name)
	}
	if len(inodes) == 0 {
		return nil
	}
	return outermost(holders(inodes))
}

func isHere(ip, own net.IP) bool {
	if ip.IsLoopback() || ip.Equal(own) {
		return true
	}
	addrs, _ := net.InterfaceAddrs()
	return slices.ContainsFunc(addrs, func(a net.Addr) bool {
		n, ok := a.(*net.IPNet)
		return ok && n.IP.Equal(ip)
	})
}

// listening returns the inodes of the sockets that listen at an address, or at all with its port.
func listening(file string, at netip.AddrPort) (inodes []string) {
	text, _ := os.ReadFile(file)
	var everywhere []string
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) < 10 || f[3] != "0A" { // TCP_LISTEN
			continue
		}
		switch ap, ok := procAddr(f[1]); {
		case !ok || ap.Port() != at.Port():
		case ap.Addr() == at.Addr():
			inodes = append(inodes, f[9])
		case ap.Addr().IsUnspecified():
			everywhere = append(everywhere, f[9])
		}
	}
	if inodes == nil {
		return everywhere
	}
	return inodes
}

// procAddr reads an address as /proc/net/tcp writes it: words of four bytes in the machine's order, and the port.
func procAddr(s string) (netip.AddrPort, bool) {
	host, port, _ := strings.Cut(s, ":")
	raw, err := hex.DecodeString(host)
	n, err2 := strconv.ParseUint(port, 16, 16)
	if err != nil || err2 != nil || len(raw)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for word := range slices.Chunk(raw, 4) {
		binary.NativeEndian.PutUint32(word, binary.BigEndian.Uint32(word))
	}
	addr, ok := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(addr.Unmap(), uint16(n)), ok
}

// listeningAt returns the inodes of the Unix sockets that listen at a path, or at an abstract name that begins with "@".
func listeningAt(path string) (inodes []string) {
	text, _ := os.ReadFile("/proc/net/unix")
	for line := range strings.Lines(string(text)) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 8) // Num RefCount Protocol Flags Type St Inode Path
		if len(f) == 8 && f[3] == "00010000" {
			inode, name, _ := strings.Cut(strings.TrimLeft(strings.Join(f[6:], " "), " "), " ")
			if name == path {
				inodes = append(inodes, inode)
			}
		}
	}
	return inodes
}

// holders returns the processes that have one of these sockets open and let this one see it.
func holders(inodes []string) (pids []int) {
	wanted := map[string]bool{}
	for _, inode := range inodes {
		wanted["socket:["+inode+"]"] = true
	}
	for _, pid := range processes() {
		dir := fmt.Sprintf("/proc/%d/fd", pid)
		files, _ := os.ReadDir(dir)
		for _, f := range files {
			if to, err := os.Readlink(dir + "/" + f.Name()); err == nil && wanted[to] {
				pids = append(pids, pid)
				break
			}
		}
	}
	return pids
}

func processes() (pids []int) {
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}
