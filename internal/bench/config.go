package bench

import (
	"bytes"
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/switchboard-go/switchboard/internal/field"
)

// Expect says what a server answers.
type Expect string

const (
	Echo Expect = "echo" // every byte that it received, in order
	None Expect = "none" // nothing that matters: what comes is counted and dropped
	Line Expect = "line" // one line for each line
	HTTP Expect = "http" // one HTTP/1.1 response for each request
)

// A Range is the sizes that messages have, in bytes, both included.
type Range struct{ Min, Max int }

// A Config says whom to load and how. A zero field means what its comment says; Run changes none.
type Config struct {
	Address string      // as switchboard.Server.Dial takes it
	TLS     *tls.Config // to speak TLS as switchboard.Server.DialTLS does. nil: no TLS
	Conns   int         // connections that exchange messages

	WebSocket *WebSocket // nil: messages are bytes
	Idle      int        // connections that exchange one message, and then only sit there

	Size     Range         // of a message; of a line its end included. Without effect with Payload, or HTTP
	Payload  []byte        // every message is this. nil: noise, different at every position and on every connection
	Path     string        // that HTTP asks for, unless Payload has the whole request. "": /
	Method   string        // of such a request. "": GET, or POST with a Body
	Header   http.Header   // of such a request; Host, User-Agent and Accept have defaults
	Body     []byte        // of such a request
	Requests int64         // messages that are sent in all, after which the measurement ends. 0: as many as there is time for
	Depth    int           // messages that one connection may have in flight. 0: 1
	Rate     float64       // messages a second over all connections. 0: as many as the answers allow
	Churn    bool          // a connection for each exchange
	Expect   Expect        // "": Echo
	Reset    bool          // end connections with a reset, which leaves no port waiting; Churn always does
	Loops    int           // event loops that carry the load. 0: half as many as there are processors
	Sources  []netip.Addr  // addresses to connect from, in turn. nil: the system chooses
	Ramp     time.Duration // over which the connections are opened. 0: as fast as they come
	Warmup   time.Duration // after that, before anything is measured
	Duration time.Duration // that is measured

	OpenWait time.Duration // that a connection may take to open. 0: 5 seconds
	LastWait time.Duration // that an answer may take when the measurement is over. 0: a second

	PID      int            // of the server, whose processor time and memory are measured. 0: looked for. -1: not measured
	Progress func(Progress) // is told how it goes, ten times a second. nil: nobody is
}

const (
	MaxSize   = 64 << 20 // bytes of a message
	maxFlight = 1 << 30  // bytes of all messages in flight: what the server may make this process remember
	maxWait   = 24 * time.Hour
	maxConns  = 1 << 24
	maxDepth  = 1 << 16
	maxRate   = 1e8
)

// Check says what of c makes no sense, in the terms of the command's flags.
func (c Config) Check() error {
	_, err := c.resolve()
	return err
}

// resolve puts zero values into words and says what makes no sense, in the terms of the command's flags.
func (c Config) resolve() (Config, error) {
	if c.Expect == "" {
		c.Expect = Echo
	}
	if c.Depth == 0 {
		c.Depth = 1
	}
	if c.Loops == 0 {
		c.Loops = max(1, runtime.GOMAXPROCS(0)/2)
	}
	c.OpenWait, c.LastWait = cmp.Or(c.OpenWait, 5*time.Second), cmp.Or(c.LastWait, time.Second)
	switch c.Expect {
	case Echo, None, Line, HTTP:
	default:
		return c, fmt.Errorf("--expect %q: there are echo, none, line and http", c.Expect)
	}
	if c.Expect == HTTP && c.Payload == nil {
		if c.Path == "" {
			c.Path = "/"
		}
		if c.Method == "" {
			c.Method = http.MethodGet
			if len(c.Body) > 0 {
				c.Method = http.MethodPost
			}
		}
		if err := c.checkRequest(); err != nil {
			return c, err
		}
		if !strings.HasPrefix(c.Path, "/") || strings.ContainsFunc(c.Path, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
			return c, fmt.Errorf("--path %q: it must begin with / and have no spaces", c.Path)
		}
		c.Payload = c.request()
	}
	if c.Payload != nil {
		c.Size = Range{len(c.Payload), len(c.Payload)}
	}
	switch {
	case c.WebSocket != nil && c.Expect == HTTP:
		return c, errors.New("--expect http: over WebSocket there are echo, line and none")
	case c.Conns < 0 || c.Idle < 0:
		return c, fmt.Errorf("--conns %d, --idle %d: a number of connections cannot be negative", c.Conns, c.Idle)
	case c.Conns == 0 && c.Idle == 0:
		return c, errors.New("--conns 0: there must be at least one connection, or --idle some")
	case c.Conns > maxConns || c.Idle > maxConns:
		return c, fmt.Errorf("--conns %d, --idle %d: at most %d connections", c.Conns, c.Idle, maxConns)
	case c.Size.Min < 1 || c.Size.Max < c.Size.Min:
		return c, fmt.Errorf("--size %d-%d: at least 1 byte, and the smaller number first", c.Size.Min, c.Size.Max)
	case c.Size.Max > MaxSize:
		return c, fmt.Errorf("--size %d: at most %d bytes", c.Size.Max, MaxSize)
	case c.Depth < 1 || c.Depth > maxDepth:
		return c, fmt.Errorf("--depth %d: 1 to %d", c.Depth, maxDepth)
	case c.Expect != None && int64(c.Conns)*int64(c.Depth)*int64(c.Size.Max) > maxFlight:
		return c, fmt.Errorf("--conns %d x --depth %d x --size %d: more than %d bytes in flight", c.Conns, c.Depth, c.Size.Max, maxFlight)
	case len(c.Sources) > 0 && strings.ContainsAny(c.Address, "/@"):
		return c, errors.New("--source: a Unix socket has no local address")
	case c.Churn && c.Depth > 1:
		return c, errors.New("--churn: a connection has one exchange, so --depth must be 1")
	case c.Churn && c.Expect == None:
		return c, errors.New("--churn: without an answer there is no exchange (--expect none)")
	case math.IsNaN(c.Rate) || c.Rate < 0 || c.Rate > maxRate:
		return c, fmt.Errorf("--rate %v: 0 (a closed loop) to %.0f messages per second", c.Rate, maxRate)
	case c.Loops < 1 || c.Loops > 1024:
		return c, fmt.Errorf("--loops %d: 1 to 1024", c.Loops)
	case c.Requests < 0:
		return c, errors.New("--requests cannot be negative (0: send for --duration)")
	case c.Requests > 0 && c.Conns == 0:
		return c, errors.New("--requests needs --conns: idle connections do not send requests")
	case c.Requests > 0 && c.Warmup > 0:
		return c, errors.New("--warmup and --requests exclude each other: every request counts")
	case c.Expect == Line && c.Payload != nil && !bytes.HasSuffix(c.Payload, []byte("\n")):
		return c, errors.New("--expect line: the payload must end with a line end")
	}
	if ap, err := netip.ParseAddrPort(c.Address); err == nil {
		for _, source := range c.Sources {
			if source.Is4() != ap.Addr().Unmap().Is4() {
				return c, fmt.Errorf("--source %v: it cannot reach %v, which is of another family", source, ap.Addr())
			}
		}
	}
	if c.Duration == 0 {
		return c, errors.New("--duration 0: it must be more than 0")
	}
	for _, d := range []time.Duration{c.Duration, c.Warmup, c.Ramp, c.OpenWait, c.LastWait} {
		if d < 0 || d > maxWait {
			return c, fmt.Errorf("%v: a time is 0 to %v", d, maxWait)
		}
	}
	return c, nil
}

// checkRequest says what no request can have in it.
func (c *Config) checkRequest() error {
	if !field.IsToken(c.Method) || c.Method == http.MethodConnect {
		return fmt.Errorf("--method %q: not a method of HTTP requests", c.Method)
	}
	if err := field.Request.CheckHeader(c.Header); err != nil {
		return fmt.Errorf("--header: %w", err)
	}
	return nil
}

// request is the one that HTTP sends.
func (c *Config) request() []byte {
	header := c.Header.Clone()
	if header == nil {
		header = http.Header{}
	}
	host := cmp.Or(header.Get("Host"), hostOf(c.Address, c.TLS != nil))
	header.Del("Host")
	for name, value := range map[string]string{"User-Agent": "switchboard-bench", "Accept": "*/*"} {
		if _, given := header[name]; !given {
			header.Set(name, value)
		}
	}
	switch c.Method {
	case http.MethodPost, http.MethodPut, http.MethodPatch: // RFC 9110, section 8.6
		header.Set("Content-Length", strconv.Itoa(len(c.Body)))
	default:
		if len(c.Body) > 0 {
			header.Set("Content-Length", strconv.Itoa(len(c.Body)))
		}
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", c.Method, c.Path, host)
	header.Write(&b) // in the order of the names
	b.WriteString("\r\n")
	b.Write(c.Body)
	return b.Bytes()
}

// hostOf is the Host of a request to an address.
func hostOf(address string, secure bool) string {
	usual := "80"
	if secure {
		usual = "443"
	}
	host, port, err := net.SplitHostPort(address)
	host, _, _ = strings.Cut(host, "%") // a zone means nothing elsewhere: RFC 6874, section 1
	switch {
	case err != nil:
		host = "localhost" // a Unix socket has no name
	case port != usual:
		host = net.JoinHostPort(host, port)
	case strings.Contains(host, ":"):
		host = "[" + host + "]"
	}
	return host
}
