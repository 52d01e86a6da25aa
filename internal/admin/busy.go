package admin

import (
	"fmt"
	"net/http"
	"time"
)

const (
	// mostAnswered is how many requests of those who may see the page are answered at once. Each takes some 2 MB at most.
	mostAnswered = 8

	// mostProfiles is how many profiles of one kind are made at once. A dump of all goroutines can take 128 MB.
	mostProfiles = 1

	// slotTimeout is how long a request waits for its turn.
	slotTimeout = time.Second
)

// slots bound how many requests are answered at once, and with them the memory that they take.
type slots chan struct{}

// serves has h serve requests when it is their turn. Those whose turn does not come in time get 503.
func (s slots) serves(what string, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case s <- struct{}{}:
		default:
			limit := time.NewTimer(slotTimeout)
			defer limit.Stop()
			select {
			case s <- struct{}{}:
			case <-r.Context().Done():
				return
			case <-limit.C:
				w.Header().Set("Retry-After", "1")
				http.Error(w, fmt.Sprintf("too many requests at once: %d %s are being answered, ask again", cap(s), what), http.StatusServiceUnavailable)
				return
			}
		}
		defer func() { <-s }()
		h.ServeHTTP(w, r)
	})
}
