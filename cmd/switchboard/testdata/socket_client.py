"""Send standard input to a server, end the sending side, print what comes back: HOST PORT, or the path of a socket."""
import socket
import sys
import threading

if len(sys.argv) == 3:
    conn = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=30)
else:
    conn = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    conn.settimeout(30)
    conn.connect(sys.argv[1])


def send():
    conn.sendall(sys.stdin.buffer.read())
    conn.shutdown(socket.SHUT_WR)


sender = threading.Thread(target=send)
sender.start()
while data := conn.recv(65536):
    sys.stdout.buffer.write(data)
sender.join()
conn.close()
