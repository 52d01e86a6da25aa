"""Many clients at once on one selector: HOST PORT CLIENTS BYTES. Each sends its own bytes and checks what comes back."""
import random
import selectors
import socket
import sys

host, port, clients, size = sys.argv[1], *map(int, sys.argv[2:])
sel = selectors.DefaultSelector()
right = 0


class Client:
    def __init__(self, seed):
        self.said = random.Random(seed).randbytes(size)
        self.unsent = self.said
        self.heard = b""


for seed in range(clients):
    conn = socket.create_connection((host, port), timeout=30)
    conn.setblocking(False)
    sel.register(conn, selectors.EVENT_READ | selectors.EVENT_WRITE, Client(seed))

while sel.get_map():
    for key, events in sel.select():
        conn, client = key.fileobj, key.data
        if events & selectors.EVENT_WRITE:
            client.unsent = client.unsent[conn.send(client.unsent):]
            if not client.unsent:
                conn.shutdown(socket.SHUT_WR)
                sel.modify(conn, selectors.EVENT_READ, client)
        if events & selectors.EVENT_READ:
            data = conn.recv(65536)
            client.heard += data
            if not data:
                right += client.heard == client.said
                sel.unregister(conn)
                conn.close()

print(f"{right} of {clients}")
