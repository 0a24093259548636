"""A Dovecot of its own: own configuration, mails, log and ports of this machine; the system's is left alone."""

import grp
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Self

from serve import needs
from serve.harness import free_ports, wait

PASSWORD = "open-sesame"
_CONFIGURATION = """\
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/dovecot.log
listen = 127.0.0.1
protocols = imap pop3
auth_mechanisms = plain login {mechanisms}
disable_plaintext_auth = no
first_valid_uid = 1
mail_location = maildir:~/Maildir
mail_plugins = {plugins}
ssl = yes
ssl_cert = <{folder}/certificate.pem
ssl_key = <{folder}/key.pem
ssl_dh =
default_vsz_limit = 512M
namespace inbox {{
  inbox = yes
  separator = /
}}
passdb {{
{passdb}
}}
userdb {{
  driver = static
  args = uid=mail gid=mail home={folder}/mail/%n
}}
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = {pop3s}
    ssl = yes
  }}
}}
protocol imap {{
  mail_max_userip_connections = 100
  imap_idle_notify_interval = 10 mins
{imap_settings}
}}
{more}
"""
_STATIC = "  driver = static\n  args = password={password}"


def certificate(folder: Path, name: str = "localhost") -> tuple[Path, Path]:
    """A certificate for ``name`` and 127.0.0.1, signed by itself, and its key."""
    made, key = folder / "certificate.pem", folder / "key.pem"
    alternative = f"DNS:{name},IP:127.0.0.1" if name == "localhost" else f"DNS:{name}"
    command = [
        *(needs.program("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30"),
        *("-subj", f"/CN={name}", "-addext", f"subjectAltName={alternative}"),
        *("-keyout", str(key), "-out", str(made)),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return made, key


class Dovecot:
    """Runs as a context manager. Any user may log in with PASSWORD, unless ``passdb`` says otherwise."""

    def __init__(
        self,
        *,
        imap_settings: str = "",
        more: str = "",
        plugins: str = "",
        passdb: str = "",
        mechanisms: str = "",
    ) -> None:
        needs.root()
        self._program = needs.program("dovecot")
        for protocol in ("imap", "pop3"):  # each has a package of its own
            needs.program(f"/usr/lib/dovecot/{protocol}")
        # Not a test's own folder: Dovecot's users have to get in.
        self.folder = Path(tempfile.mkdtemp(prefix="dsn-dovecot-", dir="/tmp"))
        self.imap, self.imaps, self.pop3, self.pop3s = free_ports(4)
        self.certificate, _ = certificate(self.folder)
        self._settings = {
            "imap_settings": imap_settings,
            "more": more,
            "plugins": plugins,
            "passdb": passdb or _STATIC.format(password=PASSWORD),
            "mechanisms": mechanisms,
        }
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.folder.chmod(0o755)
        for name in ("mail", "run", "state"):
            (self.folder / name).mkdir()
        shutil.chown(self.folder / "mail", "mail", "mail")
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def configure(self, **settings: str) -> None:
        self._settings |= settings

    def start(self) -> None:
        ports = {"imap": self.imap, "imaps": self.imaps, "pop3": self.pop3, "pop3s": self.pop3s}
        text = _CONFIGURATION.format(folder=self.folder, **ports, **self._settings)
        (self.folder / "dovecot.conf").write_text(text)
        self._process = subprocess.Popen(
            [self._program, "-F", "-c", str(self.folder / "dovecot.conf")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        wait(self._is_up, "Dovecot does not start", log=self.log)

    def _is_up(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log() + self._process.stderr.read().decode()
        return (self.folder / "run" / "master.pid").exists() and answers(self.imap)

    def stop(self) -> None:
        """End it with all connections."""
        if self._process is None:
            return
        self.resume()
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self._process.wait(20)
        self._process.stderr.close()
        wait(lambda: not self.processes(), "processes of Dovecot outlived it")
        self._process = None

    def restart(self) -> None:
        self.stop()
        self.start()

    def pause(self) -> None:
        """SIGSTOP for all of its processes: connections stay, and nobody answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def processes(self) -> list[int]:
        """Its living processes: the children of the one that was started."""
        assert self._process is not None
        return [
            pid for pid, parent, state in _all() if self._process.pid in {pid, parent} and state not in "ZX"
        ]

    def doveadm(self, *arguments: str) -> str:
        command = [needs.program("doveadm"), "-c", str(self.folder / "dovecot.conf"), *arguments]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert ran.returncode == 0, f"{arguments}: {ran.stderr}"
        return ran.stdout

    def log(self) -> str:
        log = self.folder / "dovecot.log"
        return log.read_text()[-3000:] if log.exists() else ""

    def logins(self) -> int:
        """How many logins there were."""
        log = self.folder / "dovecot.log"
        return log.read_text().count("-login: Info: Login: ") if log.exists() else 0

    # ---- mails

    def put(self, user: str, mails: Iterable[bytes], folder: str = "INBOX") -> None:
        """Deliver mails, as an MTA that writes to the Maildir."""
        maildir = self._maildir(user, folder)
        owner = pwd.getpwnam("mail").pw_uid, grp.getgrnam("mail").gr_gid
        for number, mail in enumerate(mails):
            name = f"{time.time_ns()}.{number}.mail.example.com"
            path = maildir / "tmp" / name
            path.write_bytes(mail)
            os.chown(path, *owner)
            path.rename(maildir / "new" / name)

    def _maildir(self, user: str, folder: str) -> Path:
        root = self.folder / "mail" / user / "Maildir"
        path = root if folder == "INBOX" else root / f".{folder}"
        if not (path / "new").exists():
            for name in ("cur", "new", "tmp"):
                (path / name).mkdir(parents=True)
            subprocess.run(
                ["chown", "-R", "mail:mail", str(self.folder / "mail" / user)], check=True, timeout=60
            )
        return path

    def count(self, user: str, folder: str = "INBOX", *query: str) -> int:
        """How many mails of a folder a search finds."""
        found = self.doveadm("search", "-u", user, "mailbox", folder, *(query or ("ALL",)))
        return len(found.splitlines())

    def renumber(self, user: str, folder: str = "INBOX") -> None:
        """Give the folder another UIDVALIDITY, as a restored backup or a moved account does."""
        before = self._uid_validity(user, folder)
        self.stop()  # who has the folder open would write its numbers down again
        for path in self._maildir(user, folder).glob("dovecot*"):
            path.unlink()
        time.sleep(1.1)  # the new one is made of the time in seconds
        self.start()
        assert self._uid_validity(user, folder) != before

    def _uid_validity(self, user: str, folder: str) -> str:
        return self.doveadm("mailbox", "status", "-u", user, "uidvalidity", folder)


def answers(port: int) -> bool:
    """Whether a server greets at this port."""
    import socket

    try:
        with socket.create_connection(("127.0.0.1", port), 1) as connection:
            return connection.recv(10).startswith((b"* OK", b"+OK"))
    except OSError:
        return False


def _all() -> Iterable[tuple[int, int, str]]:
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            with suppress(FileNotFoundError, ProcessLookupError):
                fields = (path / "stat").read_text().rpartition(") ")[2].split()
                yield int(path.name), int(fields[1]), fields[0]
