package opentelemetry

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/switchboard-go/switchboard"
)

const patience = 60 * time.Second

// TestOpenTelemetryCollectsTheFigures has its SDK collect them.
func TestOpenTelemetryCollectsTheFigures(t *testing.T) {
	s := &switchboard.Server{Handler: switchboard.DataFunc((*switchboard.Conn).Write), SampleCalls: 1}
	reader := metric.NewManualReader()
	provider := metric.NewMeterProvider(metric.WithReader(reader))
	if _, err := Register(provider.Meter("switchboard"), s); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	defer func() {
		s.Close()
		if err := <-served; !errors.Is(err, switchboard.ErrServerClosed) {
			t.Error(err)
		}
	}()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	io.WriteString(conn, "hello")
	if _, err := io.ReadFull(conn, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	for limit := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		var got metricdata.ResourceMetrics
		if err := reader.Collect(t.Context(), &got); err != nil {
			t.Fatal(err)
		}
		if find(got, "switchboard.received") == 5 && find(got, "switchboard.messages") == 1 && find(got, "switchboard.turns") > 0 &&
			find(got, "switchboard.connections", attribute.String("listener", l.Addr().String()), attribute.String("state", "open")) == 1 &&
			find(got, "switchboard.accepted", attribute.String("listener", l.Addr().String())) == 1 {
			return
		}
		if time.Now().After(limit) {
			t.Fatalf("collected were %+v", got)
		}
	}
}

// find returns a value that was collected, -1 if there is none.
func find(all metricdata.ResourceMetrics, name string, attributes ...attribute.KeyValue) int64 {
	want := attribute.NewSet(attributes...)
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			if sum, ok := m.Data.(metricdata.Sum[int64]); ok && m.Name == name {
				for _, p := range sum.DataPoints {
					if p.Attributes.Equals(&want) {
						return p.Value
					}
				}
			}
		}
	}
	return -1
}
