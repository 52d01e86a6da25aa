package socket

import (
	"net"
	"strconv"
	"sync"
	"time"
)

// The zone of a link-local IPv6 address is an interface's name outside and its number in the kernel. Asking the system
// for every datagram would cost more than the datagram, so names are kept for a while.

const zonesLive = time.Minute

var zones struct {
	sync.Mutex
	asked time.Time
	names map[uint32]string
	ids   map[string]uint32
}

// scopeOf returns the number of the interface called zone; a zone may be a number itself. It is 0 for no zone.
func scopeOf(zone string) (uint32, error) {
	if zone == "" {
		return 0, nil
	}
	zones.Lock()
	defer zones.Unlock()
	forgetOldZones()
	if id, ok := zones.ids[zone]; ok {
		return id, nil
	}
	var id uint32
	if i, err := net.InterfaceByName(zone); err == nil {
		id = uint32(i.Index)
	} else if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
		id = uint32(n)
	} else {
		return 0, errNoInterface
	}
	zones.ids[zone] = id
	return id, nil
}

// zoneOf returns the name of the interface with the number, or the number when it has no name.
func zoneOf(id uint32) string {
	zones.Lock()
	defer zones.Unlock()
	forgetOldZones()
	if name, ok := zones.names[id]; ok {
		return name
	}
	i, err := net.InterfaceByIndex(int(id))
	if err != nil {
		return strconv.FormatUint(uint64(id), 10) // not kept: the interface may get its name, or come, any time
	}
	zones.names[id] = i.Name
	return i.Name
}

func forgetOldZones() {
	if zones.names == nil || time.Since(zones.asked) > zonesLive {
		zones.names, zones.ids, zones.asked = make(map[uint32]string), make(map[string]uint32), time.Now()
	}
}
