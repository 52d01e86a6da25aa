// Package bench puts load on a stream server and measures how it takes it.
//
// A run opens connections on the event loops of package switchboard, sends messages over them, checks what comes back
// byte for byte, and counts:
//
//	result, err := bench.Run(ctx, bench.Config{Address: "127.0.0.1:7007", Conns: 100, Size: bench.Range{64, 64},
//		Depth: 1, Expect: bench.Echo, Duration: 10 * time.Second})
//
// In a closed loop (Config.Rate is 0) a message leaves when an answer has made room for it, so a slow server is asked less.
// In an open loop messages leave on a schedule that the server has no influence on, and a message's latency counts from
// when it should have left: one that had to wait because the server stalled shows the stall.
package bench
