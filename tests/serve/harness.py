"""`dsn-processor serve` as users run it: processes of its own, a folder of its own, free ports of this machine."""

import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

COMMAND = (sys.executable, "-m", "dsn_processor", "serve")
#: Seconds that a wait may take on a machine that does much else. No measure of speed.
PATIENCE = 60.0

_CONFIGURATION = """\
database = "sqlite:///{database}"
{settings}
[smtp]
listen = ["{host}:{smtp}"]
{smtp_settings}
[lmtp]
listen = ["{host}:{lmtp}", "unix:{socket}"]
socket_mode = "0666"
[web]
listen = "{host}:{web}"
{sections}
"""


class Serve:
    """A server that can be started, killed and started again on the same files and ports.

    ``settings`` are lines of TOML for the top level, ``smtp`` for that section, ``sections`` whole others. ``patches`` is a folder whose
    ``sitecustomize.py`` each Python process of the server runs first: the one way for a test to break something inside.
    ``sockets`` is where others find its unix socket, if not in ``folder``. ``handed`` is a socket that listens for SMTP,
    opened before as systemd does.
    """

    def __init__(
        self,
        folder: Path,
        *,
        settings: str = "",
        smtp: str = "",
        sections: str = "",
        patches: Path | None = None,
        database: Path | None = None,
        sockets: Path | None = None,
        handed: socket.socket | None = None,
    ) -> None:
        self.folder = folder
        self.database = database or folder / "bounces.db"
        self.host = "127.0.0.1"
        self.smtp, self.lmtp, self.web = ((self.host, port) for port in free_ports(3))
        self._handed = handed
        if handed is not None:
            self.smtp = handed.getsockname()
        self.lmtp_socket = str((sockets or folder) / "lmtp.sock")
        self.log_file = folder / "serve.log"
        self.configuration = folder / "dsn-processor.toml"
        self._settings, self._smtp, self._sections = settings, smtp, sections
        self._patches = patches
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def configure(
        self, *, settings: str | None = None, smtp: str | None = None, sections: str | None = None
    ) -> None:
        """Write the configuration file, with other settings where they are given."""
        self._settings = self._settings if settings is None else settings
        self._smtp = self._smtp if smtp is None else smtp
        self._sections = self._sections if sections is None else sections
        text = _CONFIGURATION.format(
            database=self.database,
            host=self.host,
            smtp=self.smtp[1],
            lmtp=self.lmtp[1],
            web=self.web[1],
            socket=self.lmtp_socket,
            settings=self._settings,
            smtp_settings=self._smtp,
            sections=self._sections,
        )
        self.configuration.write_text(text)

    def start(self) -> Self:
        """Start, and wait until it tells the service manager that it is ready (sd_notify)."""
        self.configure()
        notify = self.folder / "notify.sock"
        notify.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told, self.log_file.open("ab") as log:
            told.bind(str(notify))
            told.settimeout(0.05)
            self._process = subprocess.Popen(
                [*self._handing(), *COMMAND, "--config", str(self.configuration)],
                cwd=self.folder,
                env=self._environment({"NOTIFY_SOCKET": str(notify)}),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=() if self._handed is None else (self._handed.fileno(),),
            )
            wait(lambda: self._is_ready(told), "the server does not get ready", log=self.log)
        return self

    def _handing(self) -> list[str]:
        """What opens sockets for a service (sd_listen_fds(3)): it puts them at descriptor 3 and becomes the service."""
        if self._handed is None:
            return []
        program = (
            f"import os, sys; os.dup2({self._handed.fileno()}, 3); "
            "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1', LISTEN_FDNAMES='smtp'); "
            "os.execv(sys.argv[1], sys.argv[1:])"
        )
        return [sys.executable, "-c", program]

    def _is_ready(self, told: socket.socket) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise AssertionError(f"the server ended with {self._process.returncode}: {self.log()[-3000:]}")
        with suppress(TimeoutError):
            return b"READY=1" in told.recv(4096).split(b"\n")
        return False

    def _environment(self, more: Mapping[str, str]) -> dict[str, str]:
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("DSN_PROCESSOR")
        }
        if self._patches:
            before = environment.get("PYTHONPATH")
            environment["PYTHONPATH"] = f"{self._patches}:{before}" if before else str(self._patches)
        return {**environment, **more}

    def kill(self) -> None:
        """kill -9 of all its processes at once, as the kernel does when memory runs out. Nothing is left after it."""
        if self._process is None:
            return
        self.signal_all(signal.SIGKILL)
        self._process.wait(PATIENCE)
        wait(lambda: not self.processes(), "processes of the server outlived kill -9")
        self._process = None

    def stop(self) -> int:
        """SIGTERM; its exit code once all its processes are gone."""
        self.signal(signal.SIGTERM)
        return self.ended()

    def ended(self) -> int:
        """Wait until it has ended; its exit code."""
        assert self._process is not None
        try:
            code = self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the server does not end: {self.log()[-3000:]}") from None
        wait(lambda: not self.processes(), "processes of the server outlived it")
        self._process = None
        return code

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def signal_all(self, number: int) -> None:
        """Send a signal to every process of the server."""
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Every process of the server stands still, with all its threads."""
        self.signal_all(signal.SIGSTOP)
        try:
            wait(lambda: all(map(_stands_still, self.processes())), "the server does not stand still")
            yield
        finally:
            self.signal_all(signal.SIGCONT)

    def log(self) -> str:
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def processes(self) -> list[int]:
        """The living processes of its session, itself included."""
        names = [path.name for path in Path("/proc").iterdir() if path.name.isdigit()]
        return [int(name) for name in names if _session(name) == self.pid]

    def peak(self) -> float:
        """The most memory that its main process held so far, in MiB."""
        return _memory(self.pid, "VmHWM")

    def memory(self) -> float:
        """The memory that its main process holds, in MiB."""
        return _memory(self.pid, "VmRSS")

    def descriptors(self) -> int:
        """How many files and sockets its main process has open."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def cpu(self) -> float:
        """Seconds of CPU of all its processes, of ended ones too."""
        return sum(map(cpu_of, self.processes()))


def wait(
    condition: Callable[[], object], failure: str, patience: float = PATIENCE, *, log: Callable[[], str] = str
) -> None:
    """Wait until ``condition`` holds; AssertionError with ``failure``, and the end of ``log``, where it does not within
    ``patience`` seconds.
    """
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, f"{failure}\n{log()[-3000:]}"
        time.sleep(0.02)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, below those that the system hands out to clients."""
    ports: list[int] = []
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    start = 10_000 + (os.getpid() * 7919 + time.monotonic_ns()) % (first - 10_000)
    for port in [*range(start, first), *range(10_000, start)]:
        with socket.socket() as tried, suppress(OSError):
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(("127.0.0.1", port))
            ports.append(port)
        if len(ports) == count:
            return ports
    raise AssertionError("no port is free")


def allow_descriptors(count: int) -> None:
    """Let this process open so many files. Root may raise the hard limit, too."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, max(count, hard)))


def _session(pid: str) -> int | None:
    """The session of a living process."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else int(fields[3])


def _stands_still(pid: int) -> bool:
    return all(
        thread.read_text().rpartition(") ")[2].startswith("T")
        for thread in Path(f"/proc/{pid}/task").glob("*/stat")
    )


def _memory(pid: int, field: str) -> float:
    with Path(f"/proc/{pid}/status").open() as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith(f"{field}:"))


def cpu_of(pid: int) -> float:
    """Seconds of CPU of a process, and of its children that have ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
