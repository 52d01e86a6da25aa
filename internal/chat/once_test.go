package chat

import (
	"strconv"
	"testing"
)

func TestOnce(t *testing.T) {
	var o once
	if !o.first("a") || o.first("a") {
		t.Error("a message is not known again")
	}
	if o.failed("a"); !o.first("a") {
		t.Error("a message that failed cannot be said again")
	}
	for i := range 3 * mostSaid {
		if !o.first(strconv.Itoa(i)) {
			t.Fatalf("%d is known", i)
		}
	}
	if len(o.said) > mostSaid || len(o.list) != mostSaid {
		t.Errorf("%d are known, of %d", len(o.said), len(o.list))
	}
	if o.first(strconv.Itoa(3*mostSaid-1)) || !o.first("0") {
		t.Error("not the oldest are forgotten")
	}
}
