package bench

import (
	"fmt"
	"time"
)

// leastSilence is how long a server with messages to answer must have answered none at the end, to be told as gone or stuck.
const leastSilence = 500 * time.Millisecond

// outage tells whether the server had stopped answering when the measurement ended, nil if it had not.
func (r *run) outage(res *Result) *Outage {
	if r.whole.heard >= r.ended { // a late answer, or one that came between
		return nil
	}
	o := &Outage{Since: float64(r.whole.heard-r.began) / 1e9}
	if r.whole.heard == 0 {
		o.Since = -float64(r.began) / 1e9
	}
	switch {
	case res.Connections.AtEnd > 0 && (r.cfg.Expect == None || res.Messages.NoAnswer == 0):
		return nil // nobody waited for an answer
	case res.Connections.AtEnd > 0 && r.oldest > r.ended-int64(leastSilence):
		return nil // it may only be slow
	case res.Connections.AtEnd > 0 && r.whole.heard > r.ended-int64(leastSilence):
		return nil // others were answered
	case res.Connections.AtEnd > 0 && r.whole.failing > r.whole.heard: // others ended
		o.Why = r.whole.failure
	case res.Connections.AtEnd > 0:
		o.Why = fmt.Sprintf("its connections were open, and nothing came on %d of them", res.Connections.AtEnd)
	case r.whole.failing <= r.whole.heard:
		return nil // between two connections
	default:
		o.Why = r.whole.failure
	}
	return o
}
