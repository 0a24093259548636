"""An authorization server on loopback: it keeps to the RFCs, gives another refresh token each time, and can be told to
misbehave.
"""

import base64
import hashlib
import json
import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

CLIENT_ID, CLIENT_SECRET = "client-of-ours", "a/secret+of=ours"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


class Authorization:
    """``refresh_tokens`` and ``access_tokens`` are those that are good, with the user they are for. ``requests`` are the
    forms that came. ``answers`` are given first, one a request, whatever is asked: (status, body).
    """

    def __init__(self):
        self.user = "user@example.com"
        self.lasts = 3600
        self.rotates = True
        self.refresh_tokens = {}
        self.access_tokens = {}
        self.codes = {}
        self.device = {}
        self.requests = []
        self.answers = []
        self.drip = None
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.owner = self
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self):
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def options(self, path, **changed):
        """Options of an account that asks here, as keywords of OAuthOptions."""
        return {
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "refresh_token_file": str(path),
            "token_url": f"{self.url}/token",
            "authorization_url": f"{self.url}/authorize",
            "device_authorization_url": f"{self.url}/device",
            "scope": "mail offline_access",
            **changed,
        }

    def consent(self):
        token = f"refresh.{secrets.token_hex(16)}"
        self.refresh_tokens[token] = self.user
        return token

    def browse(self, url):
        """What a browser does whose user consents: the address it is sent back to."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        assert query["response_type"] == "code"
        assert query["client_id"] == CLIENT_ID
        assert query["code_challenge_method"] == "S256"
        code = secrets.token_hex(16)
        self.codes[code] = query
        return f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}"

    # ---- endpoints

    def answer(self, path, form):
        self.requests.append((path, form))
        if self.answers:
            return self.answers.pop(0)
        if path == "/introspect":
            user = self.access_tokens.get(form.get("token"))
            return 200, {"active": user is not None, "email": user, "username": user}
        if form.get("client_id") != CLIENT_ID:
            return 401, {"error": "invalid_client"}
        if path == "/device":
            code = secrets.token_hex(16)
            self.device[code] = "pending"
            return 200, {
                "device_code": code,
                "user_code": "ABCD-EFGH",
                "verification_uri": f"{self.url}/activate",
                "expires_in": 900,
                "interval": 5,
            }
        if form.get("client_secret") != CLIENT_SECRET:
            return 401, {
                "error": "invalid_client",
                "error_description": f"wrong: {form.get('client_secret')}",
            }
        return self.grant(form)

    def grant(self, form):
        kind = form.get("grant_type")
        if kind == "client_credentials":
            return 200, self.tokens(refresh=False)
        if kind == "refresh_token":
            token = form.get("refresh_token")
            if token not in self.refresh_tokens:
                return 400, {"error": "invalid_grant", "error_description": f"no such token: {token}"}
            if self.rotates:
                del self.refresh_tokens[token]
            return 200, self.tokens(refresh=self.rotates)
        if kind == DEVICE_GRANT:
            state = self.device.get(form.get("device_code"), "expired_token")
            return (
                (200, self.tokens())
                if state == "yes"
                else (400, {"error": state.replace("pending", "authorization_pending")})
            )
        if kind == "authorization_code":
            asked = self.codes.pop(form.get("code"), None)
            digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
            challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
            if (
                not asked
                or asked["code_challenge"] != challenge
                or asked["redirect_uri"] != form["redirect_uri"]
            ):
                return 400, {"error": "invalid_grant"}
            return 200, self.tokens()
        return 400, {"error": "unsupported_grant_type"}

    def tokens(self, *, refresh=True):
        access = f"access.{secrets.token_hex(16)}"
        self.access_tokens[access] = self.user
        told = {"access_token": access, "token_type": "Bearer", "expires_in": self.lasts}
        return told | {"refresh_token": self.consent()} if refresh else told


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """Whoever asks may hang up: that is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = {name: values[0] for name, values in parse_qs(body).items()}
        path = urlsplit(self.path).path
        self._send(*self.server.owner.answer(path, form))

    def do_GET(self):
        self._send(*self.server.owner.answer(urlsplit(self.path).path, {}))

    def _send(self, status, body, headers=()):
        if callable(body):
            body = body()
        endless = not isinstance(body, dict | bytes)
        if isinstance(body, dict):
            body = json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if not endless:
            self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        for piece in body if endless else [body]:
            self.wfile.write(piece)

    def log_message(self, *_):
        pass


def drip(seconds):
    """A body that never ends, a byte at a time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        yield b" "
        time.sleep(0.02)
