"""An echo server: HOW is "socket" (a thread for each client), "selectors", "udp", "udp6", or "unix" and a path. It
prints its port, or the path."""
import selectors
import socket
import sys
import threading

how = sys.argv[1]


def announce(listener):
    print(listener.getsockname()[1] if how != "unix" else sys.argv[2], flush=True)


def converse(conn):
    with conn:
        while data := conn.recv(65536):
            conn.sendall(data)


def threads(listener):
    while True:
        threading.Thread(target=converse, args=(listener.accept()[0],), daemon=True).start()


def one_selector(listener):
    sel = selectors.DefaultSelector()
    sel.register(listener, selectors.EVENT_READ)
    while True:
        for key, events in sel.select():
            if key.fileobj is listener:
                conn, _ = listener.accept()
                conn.setblocking(False)
                sel.register(conn, selectors.EVENT_READ, bytearray())
                continue
            conn, queue = key.fileobj, key.data
            ended = False
            if events & selectors.EVENT_READ:
                data = conn.recv(65536)
                queue += data
                ended = not data
            if events & selectors.EVENT_WRITE:
                del queue[:conn.send(queue)]
            if ended and queue:
                conn.setblocking(True)
                conn.sendall(queue)
            if ended:
                sel.unregister(conn)
                conn.close()
            else:
                sel.modify(conn, selectors.EVENT_READ | (selectors.EVENT_WRITE if queue else 0), queue)


if how in ("udp", "udp6"):
    server = socket.socket(socket.AF_INET6 if how == "udp6" else socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("::1" if how == "udp6" else "127.0.0.1", 0))
    announce(server)
    while True:
        server.sendto(*server.recvfrom(65536))
if how == "unix":
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(sys.argv[2])
else:
    server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    server.bind(("127.0.0.1", 0))
server.listen()
announce(server)
(one_selector if how == "selectors" else threads)(server)
