package certs

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"os"
	"time"
)

// contents are files that are read again when they change. A use of them that failed for the files' sake (a permission, a
// missing file, the end of descriptors) is tried again; one that failed for what is in them waits for another content.
type contents struct {
	paths []string
	use   func(parts [][]byte) error // is told of each new content, and whether it is good

	begun bool              // read was called
	once  bool              // some are pipes, which can be read only once
	tried [sha256.Size]byte // what was used last, whatever came of it
	seen  []version         // of the files that tried is from; nil: they are to be read in any case
	told  string            // the last error, so that the log has it once
}

// settles is for how long after its last change a file may change again and look the same: the clock that file systems
// take their times from is no finer than two seconds with some.
const settles = 2 * time.Second

// read uses what is in the files, if that is not what was used last. A file may change while it is read: the versions that
// are remembered are from before that.
func (c *contents) read(now time.Time) (changed bool, err error) {
	seen := make([]version, len(c.paths))
	settled, begun := true, c.begun
	c.begun = true
	for i, path := range c.paths {
		seen[i], err = versionOf(path)
		if err == nil && !seen[i].regular {
			c.once = !begun
			if begun { // nobody may ever write to it
				err = fmt.Errorf("%s is no regular file: others are read only at the start", path)
			}
		}
		if err != nil {
			c.seen = nil
			return false, err
		}
		settled = settled && now.Sub(seen[i].last()) > settles
	}
	if c.seen != nil && equal(seen, c.seen) {
		return false, nil
	}
	c.seen = nil
	parts, sum := make([][]byte, len(c.paths)), sha256.New()
	for i, path := range c.paths {
		if parts[i], err = os.ReadFile(path); err != nil {
			return false, err
		}
		part := sha256.Sum256(parts[i])
		sum.Write(part[:])
	}
	if settled {
		c.seen = seen
	}
	if digest := sum.Sum(nil); !bytes.Equal(digest, c.tried[:]) {
		copy(c.tried[:], digest)
		return true, c.use(parts)
	}
	return false, nil
}

// follow is read for files that were good before. It tells the log what comes of a change, each error once.
func (c *contents) follow(now time.Time, log *slog.Logger, what string) (changed bool) {
	if c.once {
		return false
	}
	changed, err := c.read(now)
	switch {
	case err != nil && (changed || err.Error() != c.told):
		log.Error("a changed "+what+" cannot be used, the one before it still serves", "error", fmt.Errorf("certs: %w", err))
	case err == nil && !changed:
		return false // what failed for its content still does
	}
	c.told = ""
	if err != nil {
		c.told = err.Error()
	}
	return changed && err == nil
}

func equal(a, b []version) bool {
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return len(a) == len(b)
}
