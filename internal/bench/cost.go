package bench

import "time"

// A cost is what this process has used since it began.
type cost struct {
	cpu    time.Duration // processor time
	waited time.Duration // time that its threads could have run and had no processor; 0 where the system does not tell
}

func (c cost) since(before cost) cost { return cost{c.cpu - before.cpu, c.waited - before.waited} }
