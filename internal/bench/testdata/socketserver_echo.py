"""An echo server on socketserver, a thread for each client. It prints its port, and at its end what it has counted."""
import json, signal, socketserver, threading

counted = {"connections": 0, "bytes": 0}
lock = threading.Lock()


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        size = 0
        try:
            while data := self.request.recv(65536):
                size += len(data)
                self.request.sendall(data)
        except ConnectionError:
            pass
        with lock:
            counted["connections"] += 1
            counted["bytes"] += size


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = False
    block_on_close = True
    request_queue_size = 128


server = Server(("127.0.0.1", 0), Echo)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
print(server.server_address[1], flush=True)
server.serve_forever()
server.server_close()
print(json.dumps(counted), flush=True)
