"""The other side of the guide's programs, by libzmq: zguide.py PROGRAM ENDPOINT [ARGUMENT...]"""
import sys
import time
import zmq

program, endpoint, *rest = sys.argv[1:]
context = zmq.Context()


def socket(kind):
    s = context.socket(kind)
    s.linger = 10000
    s.rcvtimeo = s.sndtimeo = 20000
    return s


def bound(kind):
    s = socket(kind)
    s.bind(endpoint)
    print("listening on", s.getsockopt(zmq.LAST_ENDPOINT).rstrip(b"\0").decode(), flush=True)
    return s


def connected(kind, to=endpoint):
    s = socket(kind)
    s.connect(to)
    return s


if program == "hwserver":
    s = bound(zmq.REP)
    while True:
        s.recv()
        s.send(b"World")
elif program == "hwclient":
    s = connected(zmq.REQ)
    for _ in range(10):
        s.send(b"Hello")
        print(s.recv().decode(), flush=True)
elif program == "wuserver":
    s = bound(zmq.PUB)
    while True:
        for zip_code in range(10000, 10010):
            s.send_string(f"{zip_code} {zip_code % 7} 50")
        time.sleep(0.01)
elif program == "wuclient":
    s = connected(zmq.SUB)
    s.subscribe(rest[0] + " ")
    for _ in range(20):
        print(s.recv_string().split()[0], flush=True)
elif program == "worker":
    pull, push = connected(zmq.PULL), connected(zmq.PUSH, rest[0])
    while True:
        task = pull.recv()
        time.sleep(int(task) / 1000)
        push.send(task)
elif program == "ventilator":
    s = bound(zmq.PUSH)
    for i in range(int(rest[0])):
        s.send_string(str(i % 5))
elif program == "sink":
    s = bound(zmq.PULL)
    print(sum(int(s.recv()) for _ in range(int(rest[0]))), flush=True)
elif program == "lpserver":  # crashes at its third request
    s = bound(zmq.REP)
    count = int(rest[0])
    for _ in range(count):
        s.send(s.recv())
    s.recv()
    sys.exit()
elif program == "publisher":
    s = connected(zmq.PUB)
    while True:
        for letter in b"ABC":
            s.send(bytes([letter]) + b"-text")
        time.sleep(0.01)
elif program == "subscriber":
    s = connected(zmq.SUB)
    s.subscribe("B")
    for _ in range(5):
        print(s.recv().decode(), flush=True)
elif program == "mdworker":
    s = connected(zmq.DEALER)
    s.send_multipart([b"", b"MDPW01", b"\x01", rest[0].encode()])
    while True:
        _, _, command, client, _, *body = s.recv_multipart()
        assert command == b"\x02"
        s.send_multipart([b"", b"MDPW01", b"\x03", client, b""] + [b.upper() for b in body])
elif program == "mdclient":
    s = connected(zmq.REQ)
    s.send_multipart([b"MDPC01", rest[0].encode(), rest[1].encode()])
    print(s.recv_multipart()[2].decode(), flush=True)
