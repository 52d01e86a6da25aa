"""Over TLS, answer all that a client has said, when it has ended, in upper case: CERT KEY VERSION, which is 1.2 or 1.3, and
HOW it ends: "in order", or "cut off", without a close_notify. It prints its port."""
import socket
import ssl
import sys
import threading

cert, key, version, how = sys.argv[1:]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(cert, key)
context.minimum_version = context.maximum_version = ssl.TLSVersion["TLSv" + version.replace(".", "_")]


def converse(raw):
    try:
        conn = context.wrap_socket(raw, server_side=True)
    except OSError:  # the client does not trust us
        return
    heard = b""
    while data := conn.recv(65536):
        heard += data
    conn.sendall(heard.upper())
    if how == "in order":
        conn.unwrap()
    conn.close()


server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
while True:
    threading.Thread(target=converse, args=(server.accept()[0],), daemon=True).start()
