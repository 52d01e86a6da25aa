// Package metrics writes the figures of a [switchboard.Server] in the text format of Prometheus, without a dependency.
//
//	http.Handle("GET /metrics", metrics.Handler(metrics.Server(server), metrics.Process))
//
// A scrape takes the same time however many connections there are, and no label grows with them: connections are told apart
// by their listener, their state and the reason of their end. The histograms switchboard_turn_seconds and
// switchboard_handler_seconds are there when Server.SampleCalls is set.
//
// [Rooms] has the figures of a room.Hub. A program adds figures of its own with a [Source]:
//
//	orders := func(w *metrics.Writer) { w.Counter("shop_orders_total", "Orders taken.", taken.Load()) }
//	http.Handle("GET /metrics", metrics.Handler(metrics.Server(server), metrics.Rooms(hub), orders))
package metrics
