"""A peer that speaks ZeroMQ by libzmq: zmq_peer.py TYPE bind|connect ENDPOINT [ARGUMENT...]

sub TOPIC N      prints N messages
pub TEXT         publishes it again and again, until killed
pull N           prints N messages
push TEXT...     sends each
rep N            answers N requests, in upper case
req TEXT...      asks each, and prints the replies
"""
import sys
import time
import zmq

kind, how, endpoint, *rest = sys.argv[1:]
s = zmq.Context().socket(getattr(zmq, kind.upper()))
s.linger = 10000
s.rcvtimeo = s.sndtimeo = 20000
getattr(s, how)(endpoint)
print("at", s.getsockopt(zmq.LAST_ENDPOINT).rstrip(b"\0").decode(), flush=True)
if kind == "sub":
    s.subscribe(rest[0])
    for _ in range(int(rest[1])):
        print(*[p.decode() for p in s.recv_multipart()], flush=True)
elif kind == "pub":
    while True:
        s.send_multipart([t.encode() for t in rest])
        time.sleep(0.02)
elif kind == "pull":
    for _ in range(int(rest[0])):
        print(s.recv().decode(), flush=True)
elif kind == "push":
    for text in rest:
        s.send(text.encode())
elif kind == "rep":
    for _ in range(int(rest[0])):
        s.send(s.recv().upper())
elif kind == "req":
    for text in rest:
        s.send(text.encode())
        print(s.recv().decode(), flush=True)
