// Package switchboard serves very many connections with very little memory, on a few event loops.
package switchboard
