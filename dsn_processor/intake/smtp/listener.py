"""Listening: sockets opened or taken over, sessions served, and an end in good order."""

import asyncio
import resource
import socket
import ssl
import stat
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from dsn_processor.errors import ConfigurationError
from dsn_processor.intake.smtp.lmtp import LmtpSession
from dsn_processor.intake.smtp.options import LmtpOptions, SmtpOptions, check_reach, check_together
from dsn_processor.intake.smtp.service import Service, log
from dsn_processor.intake.smtp.session import Session
from dsn_processor.intake.smtp.spool import Memory
from dsn_processor.intake.taking import Taking
from dsn_processor.listening import BACKLOG, ListenAddress, cannot_listen, listen_address, open_tcp

_TICK = 1.0  # seconds between looks at deadlines; shorter deadlines are looked at more often
_SPARE_DESCRIPTORS = 200  # for the database, workers, the web, and files of large mails


class Listener:
    """Serves SMTP and LMTP in the running event loop. ``taking`` gets the mail.

    Raises ConfigurationError where the options do not fit together, or the certificate cannot be read.
    """

    def __init__(self, taking: Taking, smtp: SmtpOptions, lmtp: LmtpOptions | None = None) -> None:
        self._smtp = smtp
        self._lmtp = lmtp or LmtpOptions()
        self._given: dict[str, list[ListenAddress]] = {}
        self._check(self._smtp, self._lmtp)
        tls = _tls_context(smtp)
        memory = Memory()
        self._services = {
            "smtp": Service("smtp", taking, smtp, tls, memory),
            "lmtp": Service("lmtp", taking, smtp, tls, memory),
        }
        self._servers: list[asyncio.Server] = []
        self._paths: list[Path] = []
        self._ticking: asyncio.Task[None] | None = None
        self.addresses: dict[str, list[str]] = {"smtp": [], "lmtp": []}

    @property
    def sessions(self) -> int:
        """How many are open."""
        return sum(len(service.sessions) for service in self._services.values())

    async def start(self, inherited: Mapping[str, Sequence[socket.socket]] | None = None) -> None:
        """Listen where the options say, or, for "smtp" or "lmtp" that is ``inherited``, on those sockets alone (systemd
        opened them). Raises ConfigurationError where an address cannot be had, or where others than this machine get to
        an inherited socket and there are no recipients. ``addresses`` tells what is heard.
        """
        self._given = {name: list(map(_address_of, sockets)) for name, sockets in (inherited or {}).items()}
        self._check(self._smtp, self._lmtp)
        self._make_room()
        with ExitStack() as opened:
            opened.callback(self._stop_accepting)
            for name, factory, texts in (
                ("smtp", Session, self._smtp.listen),
                ("lmtp", LmtpSession, self._lmtp.listen),
            ):
                given = list((inherited or {}).get(name, ()))
                for sockets in (given,) if given else map(self._open, map(listen_address, texts)):
                    for one in sockets:
                        opened.enter_context(one)
                        await self._serve(one, self._services[name], factory)
                        opened.callback(self._stop_accepting)  # before its socket is closed
            opened.pop_all()
        self._ticking = asyncio.create_task(self._tick())

    def _make_room(self) -> None:
        """A connection needs a descriptor, and another for a large mail. With too few, refusing is better than failing."""
        services = list(self._services.values())
        most = len(services) * self._smtp.max_connections
        room = raise_descriptor_limit(2 * most + _SPARE_DESCRIPTORS) - _SPARE_DESCRIPTORS
        if room < most:
            log.warning(
                "few file descriptors", connections=max(room, 1), configured=most, advice="raise LimitNOFILE"
            )
        for service in services:
            service.admission.make_do(max(room // len(services), 1))

    def reload(self, smtp: SmtpOptions, lmtp: LmtpOptions) -> bool:
        """Take other options for sessions to come. Raises ConfigurationError, and keeps the old ones then. False where
        other addresses are to be listened on: those need a restart.
        """
        self._check(smtp, lmtp)
        tls = _tls_context(smtp)
        for service in self._services.values():
            service.configure(smtp, tls)
        same = (smtp.listen, lmtp) == (self._smtp.listen, self._lmtp)
        self._smtp = smtp
        self._make_room()
        return same

    async def drain(self, seconds: float) -> bool:
        """Accept nothing more, send idle peers away, and let mails in flight come to their end, ``seconds`` at most.
        Whether all did.
        """
        self._stop_accepting()
        for service in self._services.values():
            service.stopping = True
            for session in list(service.sessions):
                session.stop()
        waiting = [service.idle() for service in self._services.values()]
        try:
            async with asyncio.timeout(seconds):
                await asyncio.gather(*waiting)
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        """End all, at once. A mail that is being stored is still stored; its sender may not hear of it."""
        self._stop_accepting()
        for service in self._services.values():
            service.stopping = True
            for session in list(service.sessions):
                session.abort()
        if self._ticking is not None:
            self._ticking.cancel()
            await asyncio.gather(self._ticking, return_exceptions=True)
            self._ticking = None
        tasks = [task for service in self._services.values() for task in service.tasks]
        await asyncio.gather(*tasks, return_exceptions=True)

    def _stop_accepting(self) -> None:
        for server in self._servers:
            server.close()
        self._servers.clear()
        for path in self._paths:
            path.unlink(missing_ok=True)
        self._paths.clear()

    async def _tick(self) -> None:
        while True:
            options = self._smtp
            shortest = min(options.command_timeout, options.data_timeout, options.session_timeout)
            await asyncio.sleep(min(_TICK, shortest / 4))
            now = asyncio.get_running_loop().time()
            for service in self._services.values():
                pressed = service.admission.pressed
                for session in list(service.sessions):
                    session.tick(now, pressed=pressed)

    def _open(self, address: ListenAddress) -> list[socket.socket]:
        try:
            if address.path:
                return [self._open_unix(Path(address.path))]
            return open_tcp(address)
        except OSError as error:
            raise cannot_listen(address, error) from None

    def _open_unix(self, path: Path) -> socket.socket:
        with suppress(FileNotFoundError):
            if not stat.S_ISSOCK(path.lstat().st_mode):
                raise FileExistsError(17, "it is there and no socket")
            with socket.socket(socket.AF_UNIX) as probe, suppress(ConnectionRefusedError):
                probe.connect(str(path))
                raise OSError(98, "somebody listens there already")
            path.unlink()  # left by one that was killed
        one = socket.socket(socket.AF_UNIX)
        one.bind(str(path))
        self._paths.append(path)
        path.chmod(self._lmtp.socket_mode)  # before listen(): nobody can have connected
        one.listen(BACKLOG)
        return one

    def _check(self, smtp: SmtpOptions, lmtp: LmtpOptions) -> None:
        try:
            check_together(smtp, lmtp)
            for name in ("smtp", "lmtp"):
                check_reach(name, self._given.get(name, ()), smtp.recipients)
        except ValueError as error:
            raise ConfigurationError(str(error)) from None

    async def _serve(self, one: socket.socket, service: Service, factory: type[Session]) -> None:
        one.setblocking(False)
        loop = asyncio.get_running_loop()
        create = loop.create_unix_server if one.family == socket.AF_UNIX else loop.create_server
        server = await create(lambda: factory(service), sock=one, backlog=BACKLOG)
        self._servers.append(server)
        self.addresses[service.name].append(str(_address_of(one)))


def raise_descriptor_limit(wanted: int) -> int:
    """Have as many file descriptors as ``wanted`` and allowed; how many there are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        hard = max(wanted, soft)
    if soft < wanted:
        soft = min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return soft


def _address_of(one: socket.socket) -> ListenAddress:
    name = one.getsockname()
    return ListenAddress(path=str(name)) if isinstance(name, str) else ListenAddress(*name[:2])


def _tls_context(options: SmtpOptions) -> ssl.SSLContext | None:
    if not options.tls_certificate:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(options.tls_certificate, options.tls_key or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"the certificate {options.tls_certificate} cannot be used: {error}; "
            "tls_certificate is a PEM file with the chain, tls_key one with the key where it is not in the first"
        ) from None
    return context
