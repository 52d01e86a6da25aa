package websocket

import "testing"

func TestOffersAreAnswered(t *testing.T) {
	alone := &Deflate{WindowBits: 15}
	takeover := &Deflate{WindowBits: 15, ContextTakeover: true}
	small := &Deflate{WindowBits: 11, ContextTakeover: true}
	const none = ""
	for _, c := range []struct {
		d             *Deflate
		offer, answer string
	}{
		{alone, "permessage-deflate", "permessage-deflate; server_no_context_takeover; client_no_context_takeover"},
		{alone, "permessage-deflate; client_max_window_bits", "permessage-deflate; server_no_context_takeover; client_no_context_takeover"},
		{alone, "x-webkit-deflate-frame, permessage-deflate", "permessage-deflate; server_no_context_takeover; client_no_context_takeover"},
		{alone, `permessage-deflate; server_max_window_bits="10"`, "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10"},
		{takeover, "permessage-deflate", "permessage-deflate"},
		{takeover, "permessage-deflate; server_no_context_takeover", "permessage-deflate; server_no_context_takeover"},
		{takeover, "permessage-deflate; client_no_context_takeover", "permessage-deflate; client_no_context_takeover"},
		{takeover, "permessage-deflate; client_max_window_bits=9", "permessage-deflate; client_max_window_bits=9"},
		{takeover, "permessage-deflate;server_max_window_bits=8;client_max_window_bits", "permessage-deflate; server_max_window_bits=8"},
		{small, "permessage-deflate; client_max_window_bits", "permessage-deflate; server_max_window_bits=11; client_max_window_bits=11"},
		{small, "permessage-deflate; server_max_window_bits=15", "permessage-deflate; server_max_window_bits=11"},
		{small, "permessage-deflate", "permessage-deflate; server_max_window_bits=11"},

		{alone, "permessage-deflate; server_max_window_bits", none},
		{alone, "permessage-deflate; server_max_window_bits=7", none},
		{alone, "permessage-deflate; server_max_window_bits=16", none},
		{alone, "permessage-deflate; server_max_window_bits=010", none},
		{alone, "permessage-deflate; client_max_window_bits=0", none},
		{alone, "permessage-deflate; client_max_window_bits=x", none},
		{alone, "permessage-deflate; server_no_context_takeover=1", none},
		{alone, "permessage-deflate; server_no_context_takeover; server_no_context_takeover", none},
		{alone, "permessage-deflate; unknown", none},
		{alone, "permessage-bzip2", none},
		{alone, `permessage-deflate; x="a, permessage-deflate"`, none},
		{alone, "", none},
		// The first of several that can be taken.
		{takeover, "permessage-deflate; server_max_window_bits=7, permessage-deflate; server_max_window_bits=10, permessage-deflate",
			"permessage-deflate; server_max_window_bits=10"},
	} {
		a := negotiate([]byte(c.offer), c.d)
		got := none
		if a.on {
			got = string(a.appendTo(nil))
		}
		if got != c.answer {
			t.Errorf("%q: %q, want %q", c.offer, got, c.answer)
		}
	}
}

func FuzzNegotiate(f *testing.F) {
	f.Add("permessage-deflate; client_max_window_bits; server_max_window_bits=10, x; y=\"a,b\\\"\"")
	f.Fuzz(func(t *testing.T, value string) {
		for _, d := range []*Deflate{{WindowBits: 15}, {WindowBits: 9, ContextTakeover: true}} {
			a := negotiate([]byte(value), d)
			if !a.on {
				continue
			}
			again, ok := parseExtension(a.appendTo(nil), true)
			if !ok || again.serverBits != a.serverBits || again.clientBits != a.clientBits ||
				again.serverAlone != a.serverAlone || again.clientAlone != a.clientAlone {
				t.Fatalf("%q is answered %q, which reads as %+v", value, a.appendTo(nil), again)
			}
			if a.serverBits > d.WindowBits || a.clientBits > 15 {
				t.Fatalf("%q is answered %q", value, a.appendTo(nil))
			}
		}
	})
}
