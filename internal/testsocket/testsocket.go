// Package testsocket makes descriptors for the tests of packages that package socket rests on. All of them are
// non-blocking, are inherited by no child process, and are the test's to close.
package testsocket

import "testing"

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
