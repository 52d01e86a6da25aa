package zmtp

import "slices"

// A trie holds topics and who has subscribed to each. Topics with the same beginning share it, so a message is matched in
// the length of its own topic, however many subscriptions there are. The zero value is empty.
type trie struct{ root node }

// A node stands for the topic that the keys from the root to it make up.
type node struct {
	key      string
	parent   *node
	children []*node  // by the first byte of their keys
	subs     []*peer  // a subscriber's own trie has nil here, once for each time that it subscribed
	only     [1]*peer // room for subs of one
}

// child returns the child whose key begins with b, or where it would be.
func (n *node) child(b byte) (at int, found bool) {
	return slices.BinarySearchFunc(n.children, b, func(c *node, b byte) int { return int(c.key[0]) - int(b) })
}

// common returns how many bytes of key the topic begins with.
func common(key string, topic []byte) int {
	n := min(len(key), len(topic))
	for i := range n {
		if key[i] != topic[i] {
			return i
		}
	}
	return n
}

// node returns the node of topic, which it makes if there is none.
func (t *trie) node(topic []byte) *node {
	n := &t.root
	for len(topic) > 0 {
		at, found := n.child(topic[0])
		if !found {
			leaf := &node{key: string(topic), parent: n}
			n.children = insert(n.children, at, leaf)
			return leaf
		}
		c := n.children[at]
		same := common(c.key, topic)
		if same < len(c.key) {
			fork := &node{key: c.key[:same], parent: n, children: []*node{c}}
			c.key, c.parent = c.key[same:], fork
			n.children[at] = fork
			c = fork
		}
		n, topic = c, topic[same:]
	}
	return n
}

// insert grows by one at first: most nodes have few children, and there may be very many nodes.
func insert(list []*node, at int, n *node) []*node {
	if list == nil {
		return []*node{n}
	}
	return slices.Insert(list, at, n)
}

// find returns the node of topic, nil if nobody subscribed to just that.
func (t *trie) find(topic string) *node {
	n := &t.root
	for len(topic) > 0 {
		at, found := n.child(topic[0])
		if !found || len(topic) < len(n.children[at].key) || topic[:len(n.children[at].key)] != n.children[at].key {
			return nil
		}
		n = n.children[at]
		topic = topic[len(n.key):]
	}
	if len(n.subs) == 0 {
		return nil
	}
	return n
}

// prune takes away n if nobody needs it.
func (t *trie) prune(n *node) {
	for n.parent != nil && len(n.subs) == 0 {
		up := n.parent
		at, _ := up.child(n.key[0])
		switch len(n.children) {
		case 0:
			if up.children = slices.Delete(up.children, at, at+1); len(up.children) == 0 {
				up.children = nil
			}
		case 1:
			only := n.children[0]
			only.key, only.parent = n.key+only.key, up
			up.children[at] = only
			return
		default:
			return
		}
		n = up
	}
}

// match calls visit for every node whose topic the message's begins with.
func (t *trie) match(topic []byte, visit func(*node)) {
	n := &t.root
	for {
		if len(n.subs) > 0 {
			visit(n)
		}
		if len(topic) == 0 {
			return
		}
		at, found := n.child(topic[0])
		if !found {
			return
		}
		n = n.children[at]
		if common(n.key, topic) < len(n.key) {
			return
		}
		topic = topic[len(n.key):]
	}
}

// matches tells whether there is such a node.
func (t *trie) matches(topic []byte) (yes bool) {
	t.match(topic, func(*node) { yes = true })
	return yes
}

// each calls visit for every topic that has subscribers.
func (t *trie) each(visit func(topic []byte)) { t.root.each(nil, visit) }

func (n *node) each(before []byte, visit func(topic []byte)) {
	topic := append(before[:len(before):len(before)], n.key...)
	if len(n.subs) > 0 {
		visit(topic)
	}
	for _, c := range n.children {
		c.each(topic, visit)
	}
}

// topic returns the topic of n.
func (n *node) topic() []byte {
	if n.parent == nil {
		return nil
	}
	return append(n.parent.topic(), n.key...)
}

// remove takes one subscription of p away from n, and tells whether there was one.
func (n *node) remove(p *peer) bool {
	at := slices.Index(n.subs, p)
	if at < 0 {
		return false
	}
	last := len(n.subs) - 1
	n.subs[at], n.subs[last] = n.subs[last], nil
	if n.subs = n.subs[:last]; last == 0 {
		n.subs = nil
	}
	return true
}
