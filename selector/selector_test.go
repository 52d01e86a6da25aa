package selector

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard/internal/testsocket"
)

func TestMechanismsBestFirst(t *testing.T) {
	names := Mechanisms()
	if !slices.Contains(names, "poll") || !slices.Contains(names, "select") {
		t.Fatalf("Mechanisms() = %v", names)
	}
	s, err := New()
	must(t, err)
	defer s.Close()
	if s.Mechanism() != names[0] {
		t.Errorf("New uses %s, best is %s", s.Mechanism(), names[0])
	}
	for _, name := range names {
		if s := opened(t, name); s.Mechanism() != name {
			t.Errorf("Open(%q) uses %s", name, s.Mechanism())
		}
	}
}

func TestMissingMechanismSaysWhatIsThere(t *testing.T) {
	for name, make := range map[string]func() (*Selector, error){
		"epoll": NewEpoll, "kqueue": NewKqueue, "afd": NewAFD, "poll": NewPoll, "select": NewSelect,
	} {
		s, err := make()
		if slices.Contains(Mechanisms(), name) {
			must(t, err)
			must(t, s.Close())
			continue
		}
		if !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s: %v does not wrap ErrUnsupported", name, err)
		}
		for _, part := range append(Mechanisms(), name, runtime.GOOS) {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %q does not name %q", name, err, part)
			}
		}
	}
	if _, err := Open("devpoll"); err == nil || !strings.Contains(err.Error(), `"devpoll"`) {
		t.Errorf("Open of an unknown mechanism: %v", err)
	}
}

func TestReadyCarriesWhatWasRegistered(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		a, b := pair(t)
		owned(t, a, b)
		data := new(int)
		register(t, s, a, Read, data)
		register(t, s, b, Read|Write, "b")
		selects(t, s, -1, Ready{Key{b, Read | Write, "b"}, Write})
		write(t, a, "to b")
		selects(t, s, -1, Ready{Key{b, Read | Write, "b"}, Read | Write})
		write(t, b, "to a")
		selects(t, s, -1, Ready{Key{b, Read | Write, "b"}, Read | Write}, Ready{Key{a, Read, data}, Read})
	})
}

func TestReadinessLastsUntilItsCauseIsGone(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		r, w := ownedPipe(t)
		register(t, s, r, Read, nil)
		write(t, w, "xy")
		var b [1]byte
		for range 2 {
			selects(t, s, -1, Ready{Key{r, Read, nil}, Read})
			testsocket.Read(r, b[:])
		}
		selects(t, s, 0)
	})
}

func TestModifyReplacesEventsAndData(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		a, b := pair(t)
		owned(t, a, b)
		register(t, s, a, Read, 1)
		selects(t, s, 0)
		must(t, s.Modify(a, Write, 2))
		selects(t, s, 0, Ready{Key{a, Write, 2}, Write})
		must(t, s.Modify(a, Write, 3)) // the data alone
		selects(t, s, 0, Ready{Key{a, Write, 3}, Write})
		must(t, s.Modify(a, Read, 4))
		selects(t, s, 0)
		must(t, s.Modify(a, Read|Write|Except&s.excepts(), 5))
		selects(t, s, 0, Ready{Key{a, Read | Write | Except&s.excepts(), 5}, Write})
		if s.Len() != 1 {
			t.Errorf("Len() = %d", s.Len())
		}
	})
}

func TestModifyOfDataAloneCostsNoSystemCall(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		r, w := ownedPipe(t)
		write(t, w, "x")
		register(t, s, r, Read, 1)
		s.mechanism = &refusesModify{s.mechanism}
		must(t, s.Modify(r, Read, 2))
		selects(t, s, -1, Ready{Key{r, Read, 2}, Read})
		if err := s.Modify(r, Write, 3); !errors.Is(err, syscall.EACCES) {
			t.Fatal(err)
		}
		selects(t, s, -1, Ready{Key{r, Read, 2}, Read}) // what failed has changed nothing
	})
}

type refusesModify struct{ mechanism }

func (refusesModify) modify(int, Events, Events, uint64) error { return syscall.EACCES }

// excepts is Except where the mechanism knows it.
func (s *Selector) excepts() Events {
	if m, ok := s.mechanism.(interface{ excepts() bool }); ok && !m.excepts() {
		return 0
	}
	return Except
}

func TestUnregisteredIsNotReported(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		var keys []Key
		for i := range 5 {
			r, w := ownedPipe(t)
			write(t, w, "x")
			register(t, s, r, Read, i)
			keys = append(keys, Key{r, Read, i})
		}
		for _, i := range []int{4, 0, 2} { // the last, the first, one between
			key, err := s.Unregister(keys[i].FD)
			if err != nil || key != keys[i] {
				t.Fatalf("Unregister = %v, %v; want %v", key, err, keys[i])
			}
		}
		selects(t, s, -1, Ready{keys[1], Read}, Ready{keys[3], Read})
		register(t, s, keys[0].FD, Read, 0)
		selects(t, s, -1, Ready{keys[0], Read}, Ready{keys[1], Read}, Ready{keys[3], Read})
	})
}

func TestWrongCallsSayWhatIsWrong(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		r, w := ownedPipe(t)
		register(t, s, r, Read, nil)
		ended, w2 := pipe(t)
		testsocket.Close(ended)
		testsocket.Close(w2)
		drop := func(f func(int) (Key, error), fd int) error {
			_, err := f(fd)
			return err
		}
		for _, c := range []struct {
			err  error
			want error
			text string
		}{
			{s.Register(r, Read, nil), ErrRegistered, fmt.Sprintf("register %d: already registered", r)},
			{s.Register(r, Write, nil), ErrRegistered, "register"},
			{s.Register(w, 0, nil), ErrNoEvents, fmt.Sprintf("register %d: no events", w)},
			{s.Register(w, 16, nil), syscall.EINVAL, "unknown events 0x10"},
			{s.Register(-1, Read, nil), syscall.EBADF, "register -1: not a descriptor"},
			{s.Register(math.MaxInt, Read, nil), syscall.EBADF, "register"},
			{s.Register(ended, Read, nil), syscall.EBADF, fmt.Sprintf("register %d: ", ended)},
			{s.Modify(w, Write, nil), ErrNotRegistered, fmt.Sprintf("modify %d: not registered", w)},
			{s.Modify(r, 0, nil), ErrNoEvents, fmt.Sprintf("modify %d: no events", r)},
			{s.Modify(1<<30, Read, nil), ErrNotRegistered, "modify"},
			{drop(s.Unregister, w), ErrNotRegistered, fmt.Sprintf("unregister %d: not registered", w)},
			{drop(s.Unregister, -1), ErrNotRegistered, "unregister -1"},
			{drop(s.Forget, w), ErrNotRegistered, fmt.Sprintf("forget %d: not registered", w)},
			{drop(s.Lookup, w), ErrNotRegistered, fmt.Sprintf("lookup %d: not registered", w)},
			{drop(s.Lookup, math.MinInt), ErrNotRegistered, "lookup"},
		} {
			if !errors.Is(c.err, c.want) || !strings.Contains(c.err.Error(), c.text) {
				t.Errorf("got %v, want %v saying %q", c.err, c.want, c.text)
			}
		}
		if s.Len() != 1 {
			t.Errorf("after wrong calls %d are registered, not 1", s.Len())
		}
		selects(t, s, 0)
	})
}

func TestKeysAreFoundByDescriptorAndListed(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		var want []Key
		for i := range 3 {
			r, w := ownedPipe(t)
			register(t, s, w, Write, i)
			register(t, s, r, Read, -i)
			want = append(want, Key{r, Read, -i}, Key{w, Write, i})
		}
		slices.SortFunc(want, func(a, b Key) int { return a.FD - b.FD })
		if got := slices.Collect(s.Keys()); !slices.Equal(got, want) {
			t.Fatalf("Keys() = %v, want %v", got, want)
		}
		for _, key := range want {
			if got, err := s.Lookup(key.FD); got != key || err != nil {
				t.Errorf("Lookup(%d) = %v, %v", key.FD, got, err)
			}
		}
		for key := range s.Keys() { // the body may change what is registered
			_, err := s.Unregister(key.FD)
			must(t, err)
		}
		if s.Len() != 0 || len(slices.Collect(s.Keys())) != 0 {
			t.Errorf("%d left", s.Len())
		}
	})
}

func TestDescriptorClosedWhileRegisteredCanStillBeUnregistered(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		for _, drop := range []func(int) (Key, error){s.Unregister, s.Forget} {
			r, w := pipe(t)
			testsocket.Close(w)
			register(t, s, r, Read, "gone")
			testsocket.Close(r)
			if ready, err := s.Select(0); err != nil {
				t.Fatalf("Select with a closed descriptor: %v, %v", ready, err)
			}
			if key, err := drop(r); err != nil || key.Data != "gone" {
				t.Fatalf("%v, %v", key, err)
			}
			selects(t, s, 0)
		}
	})
}

// The others are served on, and where the mechanism sees it at all, the owner is told: its next call says EBADF.
func TestDescriptorClosedWhileRegisteredDisturbsNobody(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		r, w := ownedPipe(t)
		bad, w2 := pipe(t)
		testsocket.Close(w2)
		register(t, s, bad, Read, "bad")
		register(t, s, r, Read, "good")
		testsocket.Close(bad)
		write(t, w, "x")
		want := []Ready{{Key{r, Read, "good"}, Read}}
		if m := s.Mechanism(); m == "poll" || m == "select" {
			want = append(want, Ready{Key{bad, Read, "bad"}, Read})
		}
		for range 2 {
			selects(t, s, -1, want...)
		}
	})
}

func TestForgottenNumberServesTheNextFile(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		r, w := pipe(t)
		register(t, s, r, Read, "first")
		write(t, w, "x")
		selects(t, s, -1, Ready{Key{r, Read, "first"}, Read})
		_, err := s.Forget(r)
		must(t, err)
		testsocket.Close(w)
		testsocket.Close(r)
		_, w2 := pipeAt(t, r)
		register(t, s, r, Read, "second")
		selects(t, s, time.Millisecond)
		write(t, w2, "x")
		selects(t, s, -1, Ready{Key{r, Read, "second"}, Read})
	})
}

func TestForgottenButNotClosedIsHarmless(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		r, w := ownedPipe(t)
		register(t, s, r, Read, "first")
		write(t, w, "x")
		_, err := s.Forget(r)
		must(t, err)
		register(t, s, r, Read, "second")
		selects(t, s, -1, Ready{Key{r, Read, "second"}, Read})
		_, err = s.Forget(r)
		must(t, err)
		if looks := looksDuring(s, func() { selects(t, s, 10*time.Millisecond) }); looks > 5 {
			t.Errorf("one wait took %d looks", looks)
		}
	})
}

func TestClosedSelectorRefusesEverything(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		r, w := ownedPipe(t)
		write(t, w, "x")
		register(t, s, r, Read, nil)
		must(t, s.Close())
		_, unregister := s.Unregister(r)
		_, forget := s.Forget(r)
		_, lookup := s.Lookup(r)
		_, ask := s.Select(0)
		_, wait := s.Select(-1)
		for i, err := range []error{s.Close(), s.Register(w, Write, nil), s.Modify(r, Write, nil), unregister, forget,
			lookup, ask, wait, s.Wake()} {
			if !errors.Is(err, ErrClosed) {
				t.Errorf("call %d after Close: %v", i, err)
			}
		}
		if s.Len() != 0 || len(slices.Collect(s.Keys())) != 0 {
			t.Error("a closed selector has keys")
		}
		if !testsocket.IsOpen(r) {
			t.Errorf("Close closed a registered descriptor")
		}
	})
}

func TestEventsSayTheirNames(t *testing.T) {
	for ev, want := range map[Events]string{
		0: "none", Read: "read", Write: "write", Except: "except", Read | Except: "read|except",
		Read | Write | Except: "read|write|except", Read | Hangup: "read|hangup", 16: "0x10", Write | 32: "write|0x20",
	} {
		if ev.String() != want {
			t.Errorf("Events(%d) = %q, want %q", uint32(ev), ev, want)
		}
	}
}
