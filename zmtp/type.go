package zmtp

import "fmt"

// A Type is the type of a socket: its role in a message pattern.
type Type uint8

// The types of sockets. PAIR: RFC 31. PUB, SUB, XPUB, XSUB: RFC 29. REQ, REP, DEALER, ROUTER: RFC 28. PUSH, PULL: RFC 30.
// CLIENT, SERVER: RFC 41. RADIO, DISH: RFC 48.
const (
	PAIR Type = iota
	PUB
	SUB
	REQ
	REP
	DEALER
	ROUTER
	PULL
	PUSH
	XPUB
	XSUB
	CLIENT
	SERVER
	RADIO
	DISH
	types
)

// traits say what the type can do, and with whom.
var traits = [types]struct {
	name    string
	peers   []Type
	sends   bool
	recvs   bool
	balance bool // each message goes to one peer that has room, in turn
	names   bool // its Identity is told to peers
	single  bool // messages have one part
}{
	PAIR:   {name: "PAIR", peers: []Type{PAIR}, sends: true, recvs: true, balance: true},
	PUB:    {name: "PUB", peers: []Type{SUB, XSUB}, sends: true},
	SUB:    {name: "SUB", peers: []Type{PUB, XPUB}, recvs: true},
	REQ:    {name: "REQ", peers: []Type{REP, ROUTER}, sends: true, recvs: true, balance: true, names: true},
	REP:    {name: "REP", peers: []Type{REQ, DEALER}, sends: true, recvs: true},
	DEALER: {name: "DEALER", peers: []Type{REP, DEALER, ROUTER}, sends: true, recvs: true, balance: true, names: true},
	ROUTER: {name: "ROUTER", peers: []Type{REQ, DEALER, ROUTER}, sends: true, recvs: true, names: true},
	PULL:   {name: "PULL", peers: []Type{PUSH}, recvs: true},
	PUSH:   {name: "PUSH", peers: []Type{PULL}, sends: true, balance: true},
	XPUB:   {name: "XPUB", peers: []Type{SUB, XSUB}, sends: true, recvs: true},
	XSUB:   {name: "XSUB", peers: []Type{PUB, XPUB}, sends: true, recvs: true},
	CLIENT: {name: "CLIENT", peers: []Type{SERVER}, sends: true, recvs: true, balance: true, single: true},
	SERVER: {name: "SERVER", peers: []Type{CLIENT}, sends: true, recvs: true, single: true},
	RADIO:  {name: "RADIO", peers: []Type{DISH}, sends: true, single: true},
	DISH:   {name: "DISH", peers: []Type{RADIO}, recvs: true, single: true},
}

// String returns the name of the type, as the protocol spells it.
func (t Type) String() string {
	if t < types {
		return traits[t].name
	}
	return fmt.Sprintf("Type(%d)", uint8(t))
}

// accepts tells whether a peer of the type named may be connected with.
func (t Type) accepts(name string) bool {
	for _, peer := range traits[t].peers {
		if peer.String() == name {
			return true
		}
	}
	return false
}

// publishes tells whether peers subscribe to a socket of this type.
func (t Type) publishes() bool { return t == PUB || t == XPUB }

// subscribes tells whether a socket of this type subscribes at its peers.
func (t Type) subscribes() bool { return t == SUB || t == XSUB }
