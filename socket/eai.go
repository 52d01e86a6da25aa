package socket

import (
	"errors"
	"net"
)

// An EAI is the reason why a lookup failed, as getaddrinfo(3) and Python's gaierror have it. The errors of lookups
// wrap one: errors.Is(err, EAI_NONAME). The numbers are those of Linux on every system.
type EAI int

const (
	EAI_BADFLAGS   EAI = -1  // flags that are unknown, or AI_CANONNAME without a host
	EAI_NONAME     EAI = -2  // no such host, or a host without addresses
	EAI_AGAIN      EAI = -3  // no answer in time: it may come later
	EAI_FAIL       EAI = -4  // a name server failed
	EAI_FAMILY     EAI = -6  // the family is not one of IP
	EAI_SOCKTYPE   EAI = -7  // the type is unknown, or does not go with the protocol
	EAI_SERVICE    EAI = -8  // no such service of the protocol
	EAI_ADDRFAMILY EAI = -9  // the host is an address of another family
	EAI_SYSTEM     EAI = -11 // another error, which is among the causes too
)

// Error returns the text of gai_strerror(3).
func (e EAI) Error() string {
	switch e {
	case EAI_BADFLAGS:
		return "bad value for ai_flags"
	case EAI_NONAME:
		return "name or service not known"
	case EAI_AGAIN:
		return "temporary failure in name resolution"
	case EAI_FAIL:
		return "non-recoverable failure in name resolution"
	case EAI_FAMILY:
		return "ai_family not supported"
	case EAI_SOCKTYPE:
		return "ai_socktype not supported"
	case EAI_SERVICE:
		return "servname not supported for ai_socktype"
	case EAI_ADDRFAMILY:
		return "address family for hostname not supported"
	}
	return "system error"
}

// A lookupError is a code and the words of a cause.
type lookupError struct {
	code  EAI
	cause error
}

func (e *lookupError) Error() string   { return e.cause.Error() }
func (e *lookupError) Unwrap() []error { return []error{e.code, e.cause} }

// withCode finds the code of an error that the resolver returned; nil from nil.
func withCode(err error) error {
	if err == nil {
		return nil
	}
	code := EAI_SYSTEM
	var dns *net.DNSError
	var unfit *net.AddrError
	switch {
	case errors.As(err, &unfit): // the hosts file has addresses of the other family
		code = EAI_NONAME
	case !errors.As(err, &dns):
	case dns.IsNotFound:
		code = EAI_NONAME
	case dns.IsTimeout || dns.IsTemporary:
		code = EAI_AGAIN
	default:
		code = EAI_FAIL
	}
	return &lookupError{code, err}
}
