package diff

import (
	"cmp"
	"math"
	"slices"
)

// exactUpTo is how many values on each side the exact distribution of U is computed for.
const exactUpTo = 30

// rankSum is the test of Mann and Whitney (1947): how probable it is that two samples of one distribution differ in their
// ranks by as much as a and b do, or more. It asks nothing of the distribution. 1 if one side is empty.
func rankSum(a, b []float64) (p float64) {
	n, m := len(a), len(b)
	if n == 0 || m == 0 {
		return 1
	}
	u, ties := statistic(a, b)
	if low := min(u, float64(n*m)-u); len(ties) == 0 && n <= exactUpTo && m <= exactUpTo {
		return min(1, 2*atMost(n, m, int(low)))
	}
	// The normal approximation, corrected for ties and for continuity.
	total := float64(n + m)
	spread := total + 1
	for _, t := range ties {
		spread -= (t*t*t - t) / (total * (total - 1))
	}
	deviation := math.Sqrt(float64(n*m) / 12 * spread)
	if deviation == 0 || math.IsNaN(deviation) {
		return 1 // all values are the same
	}
	z := max(0, math.Abs(u-float64(n*m)/2)-0.5) / deviation
	return math.Erfc(z / math.Sqrt2)
}

// statistic returns U of a, the pairs in which a's value is the larger one with ties as halves, and the sizes of the ties.
func statistic(a, b []float64) (u float64, ties []float64) {
	type value struct {
		x    float64
		isOf int // 0: a, 1: b
	}
	var all []value
	for _, x := range a {
		all = append(all, value{x, 0})
	}
	for _, x := range b {
		all = append(all, value{x, 1})
	}
	slices.SortFunc(all, func(v, w value) int { return cmp.Compare(v.x, w.x) })
	below := 0.0 // values of b
	for i := 0; i < len(all); {
		var same [2]float64
		j := i
		for ; j < len(all) && all[j].x == all[i].x; j++ {
			same[all[j].isOf]++
		}
		u += same[0] * (below + same[1]/2)
		below += same[1]
		if j-i > 1 {
			ties = append(ties, float64(j-i))
		}
		i = j
	}
	return u, ties
}

// atMost returns the probability that U of n and m values without ties is at most u. The number of orders with U = k obeys
// c(n, m, k) = c(n-1, m, k-m) + c(n, m-1, k): the largest value is one of the n, or one of the m.
func atMost(n, m, u int) float64 {
	orders := make([][]float64, m+1) // of i and j values, by U; i goes from 0 on
	for j := range orders {
		orders[j] = make([]float64, n*m+1)
		orders[j][0] = 1
	}
	for range n {
		next := make([][]float64, m+1)
		next[0] = make([]float64, n*m+1)
		next[0][0] = 1
		for j := 1; j <= m; j++ {
			next[j] = make([]float64, n*m+1)
			for k := range next[j] {
				next[j][k] = next[j-1][k]
				if k >= j {
					next[j][k] += orders[j][k-j]
				}
			}
		}
		orders = next
	}
	sum, all := 0.0, 0.0
	for k, c := range orders[m] {
		all += c
		if k <= u {
			sum += c
		}
	}
	return sum / all
}

// median of values, which are sorted; 0 of none.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n == 0 {
		return 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
