package socket

import (
	"cmp"
	"net"
	"slices"
	"strconv"
)

// A NameIndex is the index and name of a network interface: if_nameindex(3).
type NameIndex struct {
	Index int // from 1 on
	Name  string
}

// IfNameIndex returns all network interfaces, sorted by index: if_nameindex(3). net.Interfaces returns more about
// each.
func IfNameIndex() ([]NameIndex, error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, failed("if_nameindex", "", err)
	}
	list := make([]NameIndex, len(interfaces))
	for i, n := range interfaces {
		list[i] = NameIndex{n.Index, n.Name}
	}
	slices.SortFunc(list, func(a, b NameIndex) int { return cmp.Compare(a.Index, b.Index) })
	return list, nil
}

// IfNameToIndex returns the index of the network interface with a name: if_nametoindex(3).
func IfNameToIndex(name string) (int, error) {
	i, err := interfaceIndex(name)
	return i, failed("if_nametoindex", name, err)
}

// IfIndexToName returns the name of the network interface with an index: if_indextoname(3).
func IfIndexToName(index int) (string, error) {
	i, err := net.InterfaceByIndex(index)
	if err != nil {
		return "", failed("if_indextoname", strconv.Itoa(index), errNoInterface)
	}
	return i.Name, nil
}

func interfaceIndex(name string) (int, error) {
	i, err := net.InterfaceByName(name)
	if err != nil {
		return 0, errNoInterface
	}
	return i.Index, nil
}
