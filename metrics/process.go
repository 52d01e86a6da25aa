package metrics

import (
	"os"
	"runtime/metrics"
	"time"
)

// ProcessStats are figures of this process. Zero means that the system does not tell.
type ProcessStats struct {
	CPU            time.Duration // of all threads, in user and kernel mode
	Resident       int64         // bytes in memory
	Heap           int64         // bytes of objects on the heap, dead ones that are not collected yet included
	Descriptors    int           // open
	MaxDescriptors int           // that may be open
	Goroutines     int
	Collections    int64 // of garbage
}

// ReadProcess returns the figures of this process. Any goroutine may call it.
func ReadProcess() ProcessStats {
	samples := []metrics.Sample{{Name: "/sched/goroutines:goroutines"}, {Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/gc/cycles/total:gc-cycles"}}
	metrics.Read(samples)
	st := ProcessStats{Goroutines: int(number(samples[0])), Heap: number(samples[1]), Collections: number(samples[2])}
	st.readSystem()
	return st
}

func number(s metrics.Sample) int64 {
	if s.Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return int64(s.Value.Uint64())
}

// began is when the process began, nearly.
var began = time.Now()

// Process is the source of the figures of this process, with the names that they have in Prometheus' own libraries.
func Process(w *Writer) {
	st := ReadProcess()
	known := func(name, help string, value float64) {
		if value > 0 {
			w.Gauge(name, help, value)
		}
	}
	w.Seconds("process_cpu_seconds_total", "Processor time, in user and kernel mode.", st.CPU.Seconds())
	known("process_resident_memory_bytes", "Bytes of memory.", float64(st.Resident))
	known("process_open_fds", "Open descriptors.", float64(st.Descriptors))
	known("process_max_fds", "Descriptors that may be open.", float64(st.MaxDescriptors))
	w.Gauge("process_start_time_seconds", "When the process began, in seconds since 1970.", float64(began.UnixMilli())/1000)
	w.Gauge("go_goroutines", "Goroutines.", float64(st.Goroutines))
	w.Gauge("go_memstats_heap_alloc_bytes", "Bytes of objects on the heap.", float64(st.Heap))
	w.Counter("go_gc_cycles_total", "Collections of garbage.", st.Collections)
}

// readFile returns what is in a file of /proc, "" on systems that have none.
func readFile(name string) string {
	text, err := os.ReadFile(name)
	if err != nil {
		return ""
	}
	return string(text)
}
