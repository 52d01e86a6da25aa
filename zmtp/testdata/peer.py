"""Does with pyzmq what the lines of its standard input ask for, one JSON object each, and answers each with one line.

It is the other side of the tests: libzmq, through the binding that Debian packages as python3-zmq.
"""
import json
import sys
import zmq
from zmq.auth.thread import ThreadAuthenticator

context = zmq.Context()
sockets = {}
authenticator = None


def raw(text):
    return text.encode("latin-1")


def make(q):
    global authenticator
    s = context.socket(getattr(zmq, q["type"]))
    s.linger = 5000
    s.rcvtimeo = s.sndtimeo = 20000
    for name, value in (q.get("options") or {}).items():
        s.setsockopt(getattr(zmq, name), raw(value) if isinstance(value, str) else value)
    sockets[q["name"]] = s
    return {}


def authenticate(q):
    """Has a ZAP handler check PLAIN passwords, and let every CURVE client in."""
    global authenticator
    authenticator = ThreadAuthenticator(context)
    authenticator.start()
    authenticator.configure_plain(domain="global", passwords=q.get("passwords") or {})
    authenticator.configure_curve(domain="*", location=zmq.auth.CURVE_ALLOW_ANY)
    return {}


def serve(q):
    s = sockets[q["name"]]
    op = q["op"]
    if op == "bind":
        s.bind(q["endpoint"])
        return {"endpoint": s.getsockopt(zmq.LAST_ENDPOINT).rstrip(b"\0").decode()}
    if op == "connect":
        s.connect(q["endpoint"])
    elif op == "send":
        s.send_multipart([raw(p) for p in q["parts"]])
    elif op == "recv":
        return {"parts": [p.decode("latin-1") for p in s.recv_multipart()]}
    elif op == "poll":
        return {"ready": s.poll(q["timeout"])}
    elif op == "flood":  # sends so many numbered messages of a size
        for i in range(q["count"]):
            s.send(b"%d " % i + b"x" * q["size"])
    elif op == "drain":  # receives as long as something comes within the timeout
        got = []
        while s.poll(q["timeout"]):
            got.append(s.recv().split(b" ")[0].decode())
            if len(got) == q.get("count", -1):
                break
        return {"parts": got}
    elif op == "echo":  # replies to so many requests
        for _ in range(q["count"]):
            s.send_multipart(s.recv_multipart())
    elif op == "set":
        for name, value in q["options"].items():
            s.setsockopt(getattr(zmq, name), raw(value) if isinstance(value, str) else value)
    elif op == "close":
        s.close()
    return {}


for line in sys.stdin:
    q = json.loads(line)
    try:
        a = {"socket": make, "authenticate": authenticate}.get(q["op"], serve)(q)
    except Exception as e:
        a = {"error": f"{type(e).__name__}: {e}"}
    print(json.dumps(a), flush=True)
if authenticator:
    authenticator.stop()
