// Package report shows the results of package bench to people: as text, and as one page of HTML with its pictures in it.
package report
