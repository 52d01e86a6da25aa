"""Say standard input over TLS, print what comes back of it, and end in order: HOST PORT CA VERSION, which is 1.2 or 1.3,
and perhaps the files of a certificate and of its key."""
import socket
import ssl
import sys

host, port, ca, version, *own = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
context.minimum_version = context.maximum_version = ssl.TLSVersion["TLSv" + version.replace(".", "_")]
if own:
    context.load_cert_chain(*own)
said = sys.stdin.buffer.read()
with context.wrap_socket(socket.create_connection((host, int(port)), timeout=30), server_hostname=host) as conn:
    heard = b""
    for i in range(0, len(said), 50000):  # in turn: the ssl module cannot send and receive at once
        conn.sendall(said[i:i + 50000])
        while len(heard) < min(i + 50000, len(said)):
            data = conn.recv(65536)
            if not data:
                sys.exit("the server has ended")
            heard += data
    sys.stdout.buffer.write(heard)
    conn.unwrap()
