package bench

import (
	"time"

	"golang.org/x/sys/windows"
)

func ownCost() cost {
	var born, died, kernel, user windows.Filetime
	windows.GetProcessTimes(windows.CurrentProcess(), &born, &died, &kernel, &user)
	duration := func(f windows.Filetime) time.Duration { // in units of 100 ns
		return time.Duration(int64(f.HighDateTime)<<32|int64(f.LowDateTime)) * 100
	}
	return cost{cpu: duration(kernel) + duration(user)}
}
