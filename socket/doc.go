// Package socket is the Berkeley sockets.
package socket
