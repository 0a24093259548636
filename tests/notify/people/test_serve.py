"""A server tells people, loses nothing when it is killed meanwhile, and follows its settings."""

import json
import signal
import smtplib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from serve.harness import Serve, wait
from serve.mails import bounce


class Service(ThreadingHTTPServer):
    """What Apprise's json:// posts to. ``silent``: it takes what comes, and never says so."""

    daemon_threads = True

    def __init__(self):
        self.got, self.silent, self.ended = [], False, threading.Event()
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self):
        return f"json://user:hunter2@127.0.0.1:{self.server_port}/hook?cto=30&rto=30"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.server.got.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        if self.server.silent:
            self.server.ended.wait(60)
            return
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def service():
    running = Service()
    yield running
    running.ended.set()
    running.shutdown()
    running.server_close()


def test_people_are_told_once_it_can_be(tmp_path, service):
    urls = tmp_path / "urls"
    urls.write_text(f"{service.url}\n")
    section = f'[[notify]]\nname = "team"\nurls_file = "{urls}"\nmessage = "${{email}}: ${{reason}}"\n'
    service.silent = True
    with Serve(tmp_path, settings='[policy]\nmode = "open"', sections=section) as serve:
        mail = bounce("ann")
        with smtplib.SMTP(*serve.smtp, timeout=60) as client:
            client.sendmail("", ["news@example.com"], mail.raw)
        wait(lambda: service.got, "nobody is told", log=serve.log)
        serve.kill()
        service.silent = False
        serve.start()
        wait(lambda: len(service.got) > 1, "nobody is told after a restart", log=serve.log)
        first, again = service.got
        assert first == again
        assert (again["title"], again["message"]) == (
            "Hard bounce: ann@example.net",
            "ann@example.net: user unknown",
        )
        wait(lambda: "people told" in serve.log(), "it is not done", log=serve.log)

        serve.configure(sections=section.replace("team", "others"))
        serve.signal(signal.SIGHUP)
        wait(lambda: "reloaded" in serve.log(), "it is not read again", log=serve.log)
        with smtplib.SMTP(*serve.smtp, timeout=60) as client:
            client.sendmail("", ["news@example.com"], bounce("bob").raw)
        wait(lambda: len(service.got) > 2, "others are not told", log=serve.log)
        wait(lambda: serve.log().count("people told") == 2, "it is not done", log=serve.log)
        assert '"notify":"others"' in serve.log()
        assert "hunter2" not in serve.log()
        assert serve.stop() == 0
