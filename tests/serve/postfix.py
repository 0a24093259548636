"""A Postfix of its own: own configuration, queue, log and port of this machine; the system's is left alone."""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from serve import needs
from serve.harness import free_ports, wait

_MAIN = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/log/mail.log
maillog_file_prefixes = {folder}
inet_interfaces = loopback-only
inet_protocols = ipv4
myhostname = mail.example.com
myorigin = mail.example.com
mydestination =
local_transport = error:5.1.1 nobody lives here
local_recipient_maps =
alias_maps =
alias_database =
mynetworks = 127.0.0.0/8
relay_domains = static:all
transport_maps = inline:{{ {transports} }}
default_transport = error:5.4.4 there is no way out
relay_transport = error:5.4.4 there is no way out
smtp_dns_support_level = disabled
smtp_host_lookup = native
smtp_tls_security_level = none
biff = no
minimal_backoff_time = 2s
maximal_backoff_time = 2s
queue_run_delay = 1s
notify_classes =
{more}
"""
_MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
lmtp unix - - n - - lmtp
error unix - - n - - error
retry unix - - n - - error
local unix - n n - - local
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix:
    """Runs as a context manager. ``transports`` says by domain where mail goes, as in transport(5)."""

    def __init__(self, transports: Mapping[str, str], more: str = "") -> None:
        needs.root()
        self._postfix = needs.program("postfix")
        self._postqueue = needs.program("postqueue")
        # Not a test's own folder: Postfix' user has to get in.
        self._folder = Path(tempfile.mkdtemp(prefix="dsn-postfix-", dir="/tmp"))
        self.smtp = ("127.0.0.1", free_ports(1)[0])
        self._transports = ", ".join(f"{{ {domain} = {where} }}" for domain, where in transports.items())
        self._more = more

    def __enter__(self) -> Self:
        self._folder.chmod(0o755)
        for name, owner in (("queue", "root"), ("data", "postfix"), ("log", "root")):
            (self._folder / name).mkdir()
            shutil.chown(self._folder / name, owner)
        main = _MAIN.format(folder=self._folder, transports=self._transports, more=self._more)
        (self._folder / "main.cf").write_text(main)
        (self._folder / "master.cf").write_text(_MASTER.format(port=self.smtp[1]))
        ran = self._run("start")
        assert ran.returncode == 0, ran.stderr
        return self

    def __exit__(self, *_: object) -> None:
        pid = (self._folder / "queue" / "pid" / "master.pid").read_text().strip()
        self._run("stop")
        wait(lambda: not Path(f"/proc/{pid}").exists(), "Postfix does not stop", log=self.log)
        shutil.rmtree(self._folder)

    def queue(self) -> list[dict[str, Any]]:
        """The mails in its queue."""
        command = [self._postqueue, "-c", str(self._folder), "-j"]
        ran = subprocess.run(command, capture_output=True, text=True, check=True)
        return [json.loads(line) for line in ran.stdout.splitlines()]

    def wait_empty(self) -> None:
        wait(lambda: not self.queue(), "mail stays in the queue of Postfix", log=self.log)

    def log(self) -> str:
        log = self._folder / "log" / "mail.log"
        return log.read_text() if log.exists() else ""

    def _run(self, verb: str) -> subprocess.CompletedProcess[str]:
        command = [self._postfix, "-c", str(self._folder), verb]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
