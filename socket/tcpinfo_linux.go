package socket

import (
	"time"

	"golang.org/x/sys/unix"
)

func sysTCPInfo(fd int) (TCPInfo, error) {
	i, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return TCPInfo{}, err
	}
	us := func(n uint64) time.Duration { return time.Duration(n) * time.Microsecond }
	ms := func(n uint32) time.Duration { return time.Duration(n) * time.Millisecond }
	minRTT := us(uint64(i.Min_rtt))
	if i.Min_rtt == ^uint32(0) { // not measured yet
		minRTT = 0
	}
	return TCPInfo{
		State: TCPState(i.State),

		RTT:         us(uint64(i.Rtt)),
		RTTVar:      us(uint64(i.Rttvar)),
		MinRTT:      minRTT,
		ReceiveRTT:  us(uint64(i.Rcv_rtt)),
		RTO:         us(uint64(i.Rto)),
		LastSent:    ms(i.Last_data_sent),
		LastReceive: ms(i.Last_data_recv),
		LastAck:     ms(i.Last_ack_recv),

		SendMSS:            int(i.Snd_mss),
		ReceiveMSS:         int(i.Rcv_mss),
		PathMTU:            int(i.Pmtu),
		CongestionWindow:   int(i.Snd_cwnd),
		SlowStartThreshold: int(i.Snd_ssthresh),
		SendWindow:         int(i.Snd_wnd),
		ReceiveSpace:       int(i.Rcv_space),

		Unacknowledged: int(i.Unacked),
		Lost:           int(i.Lost),
		Retransmitted:  int(i.Retrans),
		Reordering:     int(i.Reordering),

		Retransmissions:    int(i.Retransmits),
		TotalRetransmitted: int(i.Total_retrans),
		BytesSent:          i.Bytes_sent,
		BytesAcknowledged:  i.Bytes_acked,
		BytesReceived:      i.Bytes_received,
		BytesRetransmitted: i.Bytes_retrans,
		BytesNotSent:       uint64(i.Notsent_bytes),
		SegmentsSent:       int(i.Segs_out),
		SegmentsReceived:   int(i.Segs_in),

		DeliveryRate: i.Delivery_rate,
		PacingRate:   i.Pacing_rate,

		Busy:                us(i.Busy_time),
		ReceiveWindowFull:   us(i.Rwnd_limited),
		SendBufferExhausted: us(i.Sndbuf_limited),
	}, nil
}
