"""A mail server that refuses each recipient in words of its own."""

import socketserver
import threading
from collections.abc import Mapping
from typing import Self


class Refuser:
    """Speaks SMTP on a free port; ``replies`` are the answers to RCPT by the local part of the recipient."""

    def __init__(self, replies: Mapping[str, str]) -> None:
        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self.wfile.write(b"220 mx.example.net ESMTP\r\n")
                for line in self.rfile:
                    verb = line[:4].upper()
                    if verb == b"RCPT":
                        local = line.decode().partition("<")[2].partition("@")[0]
                        self.wfile.write(replies[local].encode() + b"\r\n")
                    elif verb == b"DATA":
                        self.wfile.write(b"503 5.5.1 no recipient is left\r\n")
                    else:
                        self.wfile.write(b"221 2.0.0 bye\r\n" if verb == b"QUIT" else b"250 2.0.0 fine\r\n")
                    if verb == b"QUIT":
                        return

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True

        self._server = Server(("127.0.0.1", 0), Handler)
        self.smtp: tuple[str, int] = ("127.0.0.1", self._server.server_address[1])

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
