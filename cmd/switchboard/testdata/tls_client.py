"""Say standard input over TLS, print what comes back of it, and end in order: HOST PORT CA VERSION, which is 1.2 or 1.3,
and perhaps the files of a certificate and of its key."""
import socket
import ssl
import sys
import threading

host, port, ca, version, *own = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
context.minimum_version = context.maximum_version = ssl.TLSVersion["TLSv" + version.replace(".", "_")]
if own:
    context.load_cert_chain(*own)
said = sys.stdin.buffer.read()
with context.wrap_socket(socket.create_connection((host, int(port)), timeout=30), server_hostname=host) as conn:
    threading.Thread(target=conn.sendall, args=(said,)).start()
    heard = b""
    while len(heard) < len(said):
        data = conn.recv(65536)
        if not data:
            break
        heard += data
    sys.stdout.buffer.write(heard)
    conn.unwrap()
