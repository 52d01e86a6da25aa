package main

import (
	"bytes"
	"fmt"
	"io"
	"sync"
)

// A hexDump prints the bytes of both directions, each with its own count, in whole lines.
type hexDump struct {
	mu            sync.Mutex
	out           io.Writer
	bytesSent     int64
	bytesReceived int64
}

func (d *hexDump) sent(p []byte) error     { return d.print('>', &d.bytesSent, p) }
func (d *hexDump) received(p []byte) error { return d.print('<', &d.bytesReceived, p) }

// print writes lines of 16 bytes: direction, offset, the bytes in hexadecimal, and those that can be printed.
func (d *hexDump) print(direction byte, offset *int64, p []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var b bytes.Buffer
	for len(p) > 0 {
		line := p[:min(16, len(p))]
		p = p[len(line):]
		fmt.Fprintf(&b, "%c %08x  %-47s  ", direction, *offset, fmt.Sprintf("% x", line))
		for _, c := range line {
			if c < ' ' || c > '~' {
				c = '.'
			}
			b.WriteByte(c)
		}
		b.WriteByte('\n')
		*offset += int64(len(line))
	}
	_, err := d.out.Write(b.Bytes())
	return err
}
