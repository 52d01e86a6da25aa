"""Send standard input to HOST PORT line by line, each when the one before is answered, and print the answers."""
import socket
import sys

with socket.create_connection((sys.argv[1], int(sys.argv[2]))) as conn:
    conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with conn.makefile("rb") as answers:
        for line in sys.stdin.buffer:
            conn.sendall(line)
            if not line.endswith(b"\n"):
                conn.shutdown(socket.SHUT_WR)
            sys.stdout.buffer.write(answers.readline())
