"""A POP3 server on loopback that keeps to RFC 1939, counts what it is asked, and can be told to misbehave."""

import base64
import socket
import threading
from contextlib import suppress

from serve.mails import bounce

USER, PASSWORD = "user@example.com", "open sesame"


def bounces(count, first=0):
    return [(f"uid-{n}", bounce(f"t{n}").raw) for n in range(first, first + count)]


class PopServer:
    """``mails`` are (unique-id, bytes); what is deleted goes when a connection ends by QUIT. ``asked`` are the commands that
    came. ``misbehave`` maps the first words of a command to what happens in place of the answer: bytes are sent, a
    callable is called with the connection, and returns whether to go on, or "answered"; "" is the greeting. ``tls`` is a context for STLS, ``implicit`` for TLS at once.
    """

    def __init__(self, mails=(), *, tls=None, implicit=None, token=None):
        self.mails = list(mails)
        self.asked = []
        self.misbehave = {}
        self.capabilities = ["TOP", "USER", "UIDL"] + (["STLS"] if tls else [])
        self.password = PASSWORD
        self.token = token
        if token:
            self.capabilities.append("SASL PLAIN XOAUTH2 OAUTHBEARER")
        self._tls, self._implicit = tls, implicit
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._open = set()
        self._threads = []

    def __enter__(self):
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()
        return self

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join()
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()

    def count(self, command):
        return sum(line.split(" ")[0] == command for line in self.asked)

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection):
        connection.settimeout(60)
        talk = _Talk(self, connection)
        self._open.add(connection)
        try:
            if self._implicit:
                talk.secure(self._implicit)
            talk.run()
        except OSError:
            pass
        finally:
            self._open.discard(connection)
            talk.connection.close()


class _Talk:
    def __init__(self, server, connection):
        self.server = server
        self.connection = connection
        self.file = connection.makefile("rb")
        self.mails = list(enumerate(server.mails, 1))
        self.deleted = set()

    def secure(self, context):
        self.connection = context.wrap_socket(self.connection, server_side=True)
        self.file = self.connection.makefile("rb")

    def send(self, data):
        self.connection.sendall(data)

    def run(self):
        if not self.behaves(""):
            return
        self.send(b"+OK ready\r\n")
        while line := self.file.readline():
            text = line.decode("utf-8", "replace").rstrip("\r\n")
            self.server.asked.append(text)
            behaves = self.behaves(text)
            if not behaves:
                return
            if behaves == "answered":
                continue
            name, _, rest = text.partition(" ")
            if getattr(self, f"do_{name.lower()}", self.do_unknown)(rest) == "end":
                return

    def behaves(self, text):
        """False ends the connection."""
        for start, act in list(self.server.misbehave.items()):
            if text.startswith(start) if start else not text:
                if callable(act):
                    return act(self)
                self.send(act)
                return False
        return True

    def multi(self, lines):
        self.send(b"+OK\r\n" + b"".join(line + b"\r\n" for line in lines) + b".\r\n")

    def do_unknown(self, rest):
        self.send(b"-ERR unknown\r\n")

    def do_capa(self, rest):
        self.multi(word.encode() for word in self.server.capabilities)

    def do_stls(self, rest):
        self.send(b"+OK begin\r\n")
        self.secure(self.server._tls)

    def do_user(self, rest):
        self.send(b"+OK\r\n")

    def do_pass(self, rest):
        self.send(b"+OK\r\n" if rest == PASSWORD else b"-ERR [AUTH] wrong\r\n")

    def do_auth(self, rest):
        self.send(b"+ \r\n")
        said = base64.b64decode(self.file.readline())
        if rest == "PLAIN":
            right = said == f"\0{USER}\0{self.server.password}".encode()
            self.send(b"+OK\r\n" if right else b"-ERR [AUTH] wrong\r\n")
            return
        if self.server.token.encode() in said.split(b"auth=Bearer ")[1]:
            self.send(b"+OK\r\n")
            return
        told = base64.b64encode(b'{"status":"invalid_token","schemes":"bearer"}')
        self.send(b"+ " + told + b"\r\n")
        self.server.asked.append(f"answered {base64.b64decode(self.file.readline())!r}")
        self.send(b"-ERR [AUTH] no\r\n")

    def do_list(self, rest):
        self.multi(
            b"%d %d" % (number, len(raw)) for number, (_, raw) in self.mails if number not in self.deleted
        )

    def do_uidl(self, rest):
        self.multi(
            b"%d %s" % (number, uid.encode()) for number, (uid, _) in self.mails if number not in self.deleted
        )

    def do_retr(self, rest):
        raw = dict(self.mails)[int(rest)][1]
        lines = raw.split(b"\r\n")
        if lines and not lines[-1]:
            lines.pop()
        self.multi(b"." + line if line.startswith(b".") else line for line in lines)

    def do_top(self, rest):
        number, lines = map(int, rest.split())
        head, _, body = dict(self.mails)[number][1].partition(b"\r\n\r\n")
        shown = [*head.split(b"\r\n"), b"", *body.removesuffix(b"\r\n").split(b"\r\n")[:lines]]
        self.multi(b"." + line if line.startswith(b".") else line for line in shown)

    def do_dele(self, rest):
        self.deleted.add(int(rest))
        self.send(b"+OK\r\n")

    def do_quit(self, rest):
        gone = {uid for number, (uid, _) in self.mails if number in self.deleted}
        self.server.mails = [mail for mail in self.server.mails if mail[0] not in gone]
        self.send(b"+OK\r\n")
        return "end"
