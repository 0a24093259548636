"""What people decide about addresses while a server holds the database: it does the writing, and tells what they should hear."""

import json
import subprocess
import sys
import urllib.request

from serve.client import Session
from serve.harness import Serve, wait
from serve.verify import wait_processed

from dsn_processor.cli import main

SECTIONS = '[policy]\nmodes = ["smtp=open"]\nwave_least = 2\n'
WHY = ("--reason", "asked", "--author", "ann")
UNKNOWN = "550 5.1.1 User unknown"
IMPORTED = 6_000  # more than go over the control socket at once


class Operator:
    """Somebody at a shell beside the server. Commands are called in this process: each start of another takes a second."""

    def __init__(self, serve, folder, capsys):
        self.serve, self.folder, self.capsys = serve, folder, capsys

    def run(self, *words, code=0):
        self.capsys.readouterr()
        try:
            ended = main([*map(str, words), *self.db])
        except SystemExit as leaving:
            ended = leaving.code
        out, err = self.capsys.readouterr()
        assert ended == code, err
        return out

    def pipe(self, raw):
        command = [sys.executable, "-m", "dsn_processor", "ingest", "-", *self.db]
        subprocess.run(command, input=raw, timeout=120, check=True, cwd=self.folder)

    @property
    def db(self):
        return ["--db", f"sqlite:///{self.serve.database}"]

    def listed(self, *words):
        lines = self.run("suppressions", "list", "--json", *words).splitlines()
        return {one["address"]: one["standing"] for one in map(json.loads, lines)}

    def metrics(self):
        host, port = self.serve.web
        with urllib.request.urlopen(f"http://{host}:{port}/metrics", timeout=30) as page:
            return page.read().decode()


def deliver(serve, mails):
    with Session(serve.smtp) as session:
        session.greet()
        for raw in mails:
            assert session.deliver(raw.replace(b"\n", b"\r\n")).code == 250
    wait_processed(serve.database)


def test_decisions_beside_a_running_server(tmp_path, write_dsn, capsys):
    with Serve(tmp_path, sections=SECTIONS) as serve:
        ann = Operator(serve, tmp_path, capsys)
        # A wave is held, and told of.
        users = [f"user{n}@example.net" for n in range(3)]
        deliver(
            serve,
            [
                write_dsn(recipient=one, number=n, returned_id=f"<{n}@example.com>", diagnostic=UNKNOWN)
                for n, one in enumerate(users)
            ],
        )
        assert ann.listed() == dict.fromkeys(users, "held")
        wait(lambda: '"event":"alert"' in serve.log(), "no alert is told", log=serve.log)
        [alert] = [line for line in serve.log().splitlines() if '"event":"alert"' in line]
        assert json.loads(alert)["subject"] == "example.net"
        page = ann.metrics()
        assert 'dsn_processor_alerts_total{kind="suppressions_held"} 1.0' in page
        assert "dsn_processor_waves_undecided 2.0" in page  # of the domain, and of its server
        assert "suppressions held about example.net" in ann.run("stats")
        assert "are held" in ann.run("doctor")
        wave = json.loads(ann.run("suppressions", "waves", "--json"))["alerts"][0]["name"]
        assert ann.run("suppressions", "release", wave, *WHY) == "3 addresses released\n"
        assert ann.listed() == dict.fromkeys(users, "active")
        assert ann.run("suppressions", "undo", wave, *WHY) == "3 addresses undone\n"
        assert ann.listed() == {}
        # What only observed mail says is proposed.
        ann.pipe(
            write_dsn(recipient="bob@example.org", number=9, returned_id="<9@x.example>", diagnostic=UNKNOWN)
        )
        wait_processed(serve.database)
        lines = [json.loads(line) for line in serve.log().splitlines() if line.startswith("{")]
        [handed] = [line for line in lines if line["event"] == "mail accepted" and line["room"] == "control"]
        assert (handed["listener"], handed["source"]) == ("control", "ingest")
        assert ann.listed("--proposed") == {"bob@example.org": "proposed"}
        assert ann.run("check", "bob@example.org").startswith("allow")
        ann.run("suppressions", "accept", "--all", *WHY)
        assert ann.run("check", "bob@example.org", code=1).startswith("deny")
        assert ann.run("suppressions", "remove", "bob@example.org", *WHY) == "1 addresses changed\n"
        # Lists, longer than one message over the socket.
        lines = "".join(f"i{n}@example.com,asked,2026-01-02T03:04:05Z\n" for n in range(IMPORTED))
        table = tmp_path / "list.csv"
        table.write_text(f"address,reason,at\n{lines}")
        assert f"{IMPORTED} addresses changed" in ann.run("suppressions", "import", table, *WHY)
        assert ann.run("suppressions", "add", "eve@example.org", *WHY) == "1 addresses changed\n"
        assert ann.run("rebuild") == "0 addresses changed\n"
        assert ann.run("check", "eve@example.org", "i77@example.com", code=1).count("deny") == 2
        history = json.loads(ann.run("suppressions", "show", "bob@example.org", "--json"))["history"]
        assert {one["author"] for one in history} == {"policy", "ann"}
        assert '"event":"fault of ours"' not in serve.log()
