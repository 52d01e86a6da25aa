package winsock

import "syscall"

// portable has the number that package syscall invents for each error of Winsock. WSAEWOULDBLOCK is EAGAIN, which is not
// EWOULDBLOCK there. The numbers below 10000 are Windows' own, which Winsock passes on.
var portable = map[syscall.Errno]syscall.Errno{
	5:    syscall.EACCES,       // ERROR_ACCESS_DENIED
	6:    syscall.EBADF,        // ERROR_INVALID_HANDLE
	8:    syscall.ENOMEM,       // WSA_NOT_ENOUGH_MEMORY
	64:   syscall.ECONNRESET,   // ERROR_NETNAME_DELETED
	87:   syscall.EINVAL,       // WSA_INVALID_PARAMETER
	121:  syscall.ETIMEDOUT,    // ERROR_SEM_TIMEOUT
	995:  syscall.ECANCELED,    // WSA_OPERATION_ABORTED
	1225: syscall.ECONNREFUSED, // ERROR_CONNECTION_REFUSED
	1231: syscall.ENETUNREACH,  // ERROR_NETWORK_UNREACHABLE
	1232: syscall.EHOSTUNREACH, // ERROR_HOST_UNREACHABLE
	1236: syscall.ECONNABORTED, // ERROR_CONNECTION_ABORTED

	10004: syscall.EINTR,
	10009: syscall.EBADF,
	10013: syscall.EACCES,
	10014: syscall.EFAULT,
	10022: syscall.EINVAL,
	10024: syscall.EMFILE,
	10035: syscall.EAGAIN,
	10036: syscall.EINPROGRESS,
	10037: syscall.EALREADY,
	10038: syscall.ENOTSOCK,
	10039: syscall.EDESTADDRREQ,
	10040: syscall.EMSGSIZE,
	10041: syscall.EPROTOTYPE,
	10042: syscall.ENOPROTOOPT,
	10043: syscall.EPROTONOSUPPORT,
	10044: syscall.ESOCKTNOSUPPORT,
	10045: syscall.EOPNOTSUPP,
	10046: syscall.EPFNOSUPPORT,
	10047: syscall.EAFNOSUPPORT,
	10048: syscall.EADDRINUSE,
	10049: syscall.EADDRNOTAVAIL,
	10050: syscall.ENETDOWN,
	10051: syscall.ENETUNREACH,
	10052: syscall.ENETRESET,
	10053: syscall.ECONNABORTED,
	10054: syscall.ECONNRESET,
	10055: syscall.ENOBUFS,
	10056: syscall.EISCONN,
	10057: syscall.ENOTCONN,
	10058: syscall.EPIPE, // WSAESHUTDOWN
	10059: syscall.ETOOMANYREFS,
	10060: syscall.ETIMEDOUT,
	10061: syscall.ECONNREFUSED,
	10062: syscall.ELOOP,
	10063: syscall.ENAMETOOLONG,
	10064: syscall.EHOSTDOWN,
	10065: syscall.EHOSTUNREACH,
	10066: syscall.ENOTEMPTY,
}

// Errno returns the portable number of an error of Winsock (syscall.ECONNRESET for WSAECONNRESET). Every other number is
// returned as it is.
func Errno(e syscall.Errno) syscall.Errno {
	if p, ok := portable[e]; ok {
		return p
	}
	return e
}

// Same reports whether target, which errors.Is was asked for, is another number of the error e, which is a portable one:
// WSAECONNRESET for ECONNRESET, and EWOULDBLOCK for EAGAIN.
func Same(e syscall.Errno, target error) bool {
	t, ok := target.(syscall.Errno)
	return ok && e != 0 && (portable[t] == e || t == syscall.EWOULDBLOCK && e == syscall.EAGAIN)
}

func errnoOf(err error) syscall.Errno {
	if err == nil {
		return 0
	}
	if e, ok := err.(syscall.Errno); ok {
		return Errno(e)
	}
	return syscall.EINVAL
}
