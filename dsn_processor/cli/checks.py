"""What `doctor` looks at. Every check tells what it found and, where that is not well, what to do; none changes anything."""

import errno
import os
import platform
import resource
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from dsn_processor import __version__
from dsn_processor.cli import probes
from dsn_processor.cli.config import file_problems
from dsn_processor.errors import ConfigurationError, SettingsError, StoreError
from dsn_processor.policy.modes import lines_of, mode_of
from dsn_processor.policy.options import SOURCES
from dsn_processor.record import checkup
from dsn_processor.record.sqlite import file_of
from dsn_processor.record.store import Store
from dsn_processor.server.handover import Handover, control_path
from dsn_processor.settings.load import Loaded, load
from dsn_processor.settings.model import Settings
from dsn_processor.settings.sources import Given
from dsn_processor.units import show_size

OK, WARN, FAIL = "ok", "warn", "fail"

_CHECK_SECONDS = 10.0
_RECENT = timedelta(days=2)
_LARGE_WAL = 256 * 2**20
_CLOCKS_DIFFER = 2.0  # seconds between the system's clock and the file system's
_YEARS = range(2026, 2100)
_SPARE_DESCRIPTORS = 200
_AS_THE_SERVER = "run doctor as the user that the server runs as: what it may do is what counts"
_NETWORK = frozenset(
    "nfs nfs4 cifs smb3 smbfs 9p afs ceph glusterfs lustre fuse.sshfs virtiofs".split()  # noqa: SIM905  a line to read
)
_RESTART, _CONTAINER = "a restart of the machine", "the container"
_PASSING = {"tmpfs": _RESTART, "ramfs": _RESTART, "overlay": _CONTAINER}
_PINNED = {"aiosmtpd": "1.4.6"}  # the listener reaches into it: another version is another program
_PACKAGES = ("aiosmtpd", "pydantic", "sqlalchemy", "starlette", "uvicorn", "uvloop")


class Finding(NamedTuple):
    """One line: how well, about what, what was found, and what to do about it."""

    level: str
    about: str
    found: str
    advice: str = ""


class Patient(NamedTuple):
    """What the checks are about. ``server`` is what the running server says of itself; None where none runs."""

    settings: Settings
    path: Path
    server: dict[str, Any] | None


def examine(config: str | None, db: str | None) -> Iterator[Finding]:
    """All checks, in order. Where the settings cannot be used, nobody knows what else to look at."""
    yield from check_versions()
    yield from check_clock()
    try:
        loaded = load(config, options={} if db is None else {"database": Given(db, "--db")})
        path = file_of(loaded.settings.database)
    except SettingsError as error:
        yield from (Finding(FAIL, "settings", one) for one in error.problems)
        return
    except ConfigurationError as error:
        yield Finding(FAIL, "database", str(error))
        return
    yield from check_settings(loaded)
    server, found = find_server(path)
    yield found
    patient = Patient(loaded.settings, path, server)
    for check in (
        check_database,
        check_disk,
        check_descriptors,
        check_ports,
        check_accounts,
        check_webhooks,
        check_modes,
        check_alerts,
    ):
        yield from check(patient)


def check_versions() -> Iterator[Finding]:
    """The program, Python, SQLite and the packages that a server stands on."""
    yield Finding(OK, "python", f"{platform.python_version()}, dsn-processor {__version__}")
    release, mended = checkup.sqlite_release()
    yield Finding(
        OK,
        "sqlite",
        release
        if mended
        else f"{release}; up to 3.51.2 two writers at a time can damage the WAL: here one alone writes, held by a lock",
    )
    versions = []
    for name in _PACKAGES:
        try:
            found = metadata.version(name)
        except metadata.PackageNotFoundError:
            yield Finding(FAIL, "packages", f"{name} is not installed", "install dsn-processor again")
            continue
        versions.append(f"{name} {found}")
        if found != _PINNED.get(name, found):
            yield Finding(
                WARN,
                "packages",
                f"{name} is {found}: the listener was tested with {_PINNED[name]} alone",
                f"install {name}=={_PINNED[name]}",
            )
    yield Finding(OK, "packages", ", ".join(versions))


def check_clock() -> Iterator[Finding]:
    """Times in the database are as right as the clock."""
    now = time.gmtime()
    shown = time.strftime("%Y-%m-%d %H:%M:%S UTC", now)
    if now.tm_year in _YEARS:
        yield Finding(OK, "clock", shown)
    else:
        yield Finding(FAIL, "clock", shown, "set the clock, and have NTP keep it: events bear its time")


def check_settings(loaded: Loaded) -> Iterator[Finding]:
    """The configuration, and the files it names."""
    named = loaded.file or "no file: defaults and variables"
    problems = list(file_problems(loaded.settings))
    if not problems:
        rules = loaded.settings.rules
        yield Finding(OK, "settings", f"{named}; rules of {rules}" if rules else named)
    for problem in problems:
        yield Finding(FAIL, "settings", problem)
    for warning in loaded.warnings:
        yield Finding(WARN, "settings", warning)
    key = loaded.settings.smtp.tls_key or loaded.settings.smtp.tls_certificate
    if key and probes.mode(key) & 0o004:
        yield Finding(WARN, "settings", f"{key} can be read by everybody", f"chmod o-r {key}")


def find_server(path: Path) -> tuple[dict[str, Any] | None, Finding]:
    """The server that holds the database, by its control socket; or who else does, by the lock."""
    state = None
    try:
        if (connection := Handover.connect(path)) is not None:
            with connection:
                state = connection.state()
    except StoreError as error:
        advice = "run doctor as the user that the server runs as; else look at its log, and restart it"
        return None, Finding(FAIL, "server", str(error), advice)
    if state is None and probes.locked(path):
        said = "none runs, but a command is writing to the database"
        return None, Finding(WARN, "server", said, "wait until it has ended, and run doctor again")
    if state is None:
        return None, Finding(OK, "server", "none runs on this database")
    said = f"process {state['pid']} runs: {state['waiting']} mails wait, {state['quarantined']} lie in quarantine"
    if state["trouble"]:
        return state, Finding(FAIL, "server", f"process {state['pid']} takes no mail: {state['trouble']}")
    mode = probes.mode(control_path(path))
    if mode & 0o077:
        advice = f"chmod 600 {control_path(path)}"
        return state, Finding(
            FAIL, "server", f"others can reach its control socket (mode {mode:04o})", advice
        )
    if state["quarantined"]:
        return state, Finding(WARN, "server", said, "`dsn-processor quarantine list` tells why")
    return state, Finding(OK, "server", said)


def check_database(patient: Patient) -> Iterator[Finding]:
    """The database: there, ours, sound."""
    path = patient.path
    try:
        owner = path.stat().st_uid
    except FileNotFoundError:
        yield Finding(OK, "database", f"{path} is not there yet: the first mail makes it")
        return
    except OSError as error:
        yield Finding(FAIL, "database", f"{path} cannot be looked at: {error.strerror}", _AS_THE_SERVER)
        return
    mode = probes.mode(path)
    if mode & 0o077:
        yield Finding(WARN, "database", f"others can open {path} (mode {mode:04o})", f"chmod 600 {path}*")
    if owner != os.geteuid():
        yield Finding(
            WARN,
            "database",
            f"{path} belongs to user {owner}, and this runs as {os.geteuid()}",
            _AS_THE_SERVER,
        )
    try:
        found = checkup.examine(path, seconds=_CHECK_SECONDS)
    except StoreError as error:
        yield Finding(FAIL, "database", str(error))
        return
    if found.trouble:
        advice = "stop the server, restore a backup, or try `sqlite3 FILE .recover`"
        yield Finding(FAIL, "database", f"{path} is damaged: {found.trouble}", advice)
    elif found.behind:
        yield Finding(
            WARN,
            "database",
            f"{path} has schema {found.schema}",
            "the next start brings it up to date: have a backup",
        )
    else:
        how = "sound" if found.complete else f"sound as far as {_CHECK_SECONDS:.0f} seconds could tell"
        yield Finding(
            OK, "database", f"{path}: {_about(found.size)}, schema {found.schema or 'none yet'}, {how}"
        )
    if found.wal_size > _LARGE_WAL:
        advice = "a reader that never ends keeps it from shrinking: look for an open sqlite3 or backup"
        yield Finding(WARN, "database", f"{path}-wal has {_about(found.wal_size)}", advice)


def check_disk(patient: Patient) -> Iterator[Finding]:
    """The folder of the database: writable, with room, on a local file system whose clock is right."""
    folder = Path(os.path.realpath(patient.path)).parent
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x")
            file.flush()
            written, now = os.fstat(file.fileno()).st_mtime, time.time()
    except OSError as error:
        advice = f"make {folder}, and let the user of the server write to it"
        yield Finding(FAIL, "disk", f"{folder} cannot be written: {error.strerror}", advice)
        return
    status = os.statvfs(folder)
    free, least = status.f_bavail * status.f_frsize, patient.settings.min_free
    if free < least:
        said = f"{_about(free)} left, less than min_free ({show_size(least)}): no mail is taken"
        yield Finding(FAIL, "disk", said, f"make room on the file system of {folder}")
    elif status.f_files and status.f_favail < 100:
        yield Finding(
            FAIL, "disk", f"{status.f_favail} files can be made in {folder}", "remove small files there"
        )
    else:
        yield Finding(OK, "disk", f"{folder} can be written, {_about(free)} left")
    kind = probes.file_system(folder)
    if kind in _NETWORK:
        advice = "move the database to a local disk: SQLite's locks do not hold over a network"
        yield Finding(WARN, "disk", f"{folder} is on a network file system ({kind})", advice)
    elif kind in _PASSING:
        advice = "name a database on a disk or volume that stays"
        yield Finding(WARN, "disk", f"{folder} is on {kind}: it does not outlive {_PASSING[kind]}", advice)
    if abs(written - now) > _CLOCKS_DIFFER:
        said = f"the file system's clock is {written - now:+.0f} seconds from the system's"
        yield Finding(WARN, "disk", said, "set both by NTP")


def check_descriptors(patient: Patient) -> Iterator[Finding]:
    """Each connection takes a file descriptor, and one more where its mail is large."""
    needed = 2 * patient.settings.smtp.max_connections + _SPARE_DESCRIPTORS
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        said = f"{hard} open files are allowed, max_connections needs {needed}"
        yield Finding(
            WARN, "files", said, f"LimitNOFILE={needed} in the unit, or a smaller [smtp] max_connections"
        )
    else:
        yield Finding(OK, "files", f"{needed} open files are needed at most, and allowed")


def check_ports(patient: Patient) -> Iterator[Finding]:
    """Addresses to listen on: free, or held by our own server."""
    for name, address in patient.settings.addresses:
        error = probes.taken(address)
        if error is None:
            if patient.server:
                advice = "restart it: addresses change with a restart only"
                yield Finding(WARN, name, f"the running server does not listen on {address}", advice)
            else:
                yield Finding(OK, name, f"{address} is free")
        elif error.errno == errno.EADDRINUSE and patient.server:
            yield Finding(OK, name, f"{address} is in use, as it should be while the server runs")
        elif error.errno == errno.EADDRINUSE:
            advice = (
                f"stop what listens there (`ss -ltnp` shows it), or set [{name}] listen to another address"
            )
            yield Finding(
                FAIL, name, f"{address} is taken by another program, or a server of another database", advice
            )
        elif error.errno == errno.EACCES:
            advice = "run it by systemd with a socket unit or AmbientCapabilities=CAP_NET_BIND_SERVICE: docs/serve.md"
            yield Finding(FAIL, name, f"{address} may not be used by this user", advice)
        else:
            advice = f"set [{name}] listen to an address of this machine"
            yield Finding(FAIL, name, f"{address} cannot be used: {error.strerror or error}", advice)


def check_accounts(patient: Patient) -> Iterator[Finding]:
    """Mailboxes to fetch from, as they did when they were last looked at."""
    wanted = [account.name for account in patient.settings.accounts]
    if not wanted or not patient.path.exists():
        return
    try:
        with Store.open(patient.settings.database, readonly=True) as store:
            known = {status.account: status for status in store.accounts()}
    except StoreError:
        return  # told of by the check of the database
    for name in wanted:
        status = known.get(name)
        if status is None:
            yield Finding(
                WARN, "accounts", f"{name} was never looked at", f"dsn-processor poll --once --account {name}"
            )
        elif status.failing:
            advice = "mend it; a running server tries again by itself, at once after SIGHUP"
            yield Finding(FAIL, "accounts", f"{name}: {status.error}", advice)
        else:
            checked = (
                "" if status.checked_at is None else f", last read {status.checked_at:%Y-%m-%d %H:%M} UTC"
            )
            yield Finding(OK, "accounts", f"{name} works{checked}")


def check_webhooks(patient: Patient) -> Iterator[Finding]:
    """Who is told of what happens, and what could not be delivered."""
    try:
        if not patient.path.exists():
            return
        with Store.open(patient.settings.database, readonly=True) as store:
            endpoints, counts = store.outbox.endpoints(), store.outbox.counts()
    except (StoreError, OSError):
        return  # told of by the check of the database
    for number, endpoint in endpoints.items():
        name, states = endpoint.name, counts.get(number, {})
        dead, waiting = states.get("dead", 0), states.get("pending", 0)
        if not endpoint.enabled:
            found = f"{name} is disabled ({endpoint.why}), {waiting} deliveries wait"
            yield Finding(WARN, "webhooks", found, f"dsn-processor webhooks enable {name}, or remove {name}")
        elif dead:
            advice = f"dsn-processor webhooks replay --state dead --endpoint {name}, once it answers again"
            yield Finding(WARN, "webhooks", f"{name}: {dead} deliveries were given up", advice)
        else:
            yield Finding(OK, "webhooks", f"{name} is told, {waiting} deliveries wait")


def check_modes(patient: Patient) -> Iterator[Finding]:
    """Which reports may change an address, by where they come from."""
    modes = {}
    proving = bool(patient.settings.correlation.keys)
    try:
        if patient.path.exists():
            with Store.open(patient.settings.database, readonly=True) as store:
                proving = proving or store.any_sends()
    except (StoreError, OSError):
        return  # told of by the check of the database
    for way in SOURCES:
        modes[way] = mode_of(way, patient.settings.policy, proving=proving)
    for line in lines_of(modes):
        yield Finding(OK, "policy", line)


def check_alerts(patient: Patient) -> Iterator[Finding]:
    """What a person has to decide, or should have heard of."""
    try:
        if not patient.path.exists():
            return
        with Store.open(patient.settings.database, readonly=True) as store:
            undecided = store.addresses.undecided()
            alerts = store.addresses.alerts_since(datetime.now(UTC) - _RECENT)
    except (StoreError, OSError):
        return  # told of by the check of the database
    if undecided:
        advice = "`dsn-processor suppressions waves` lists them; release or undo each"
        yield Finding(WARN, "waves", f"{undecided} waves are held: their addresses get mail", advice)
    for alert in alerts:
        if alert.kind == "blocks":
            advice = "we are refused, not the addresses: `dsn-processor events --type block` has the replies"
            yield Finding(WARN, "blocks", str(alert), advice)


def _about(size: int) -> str:
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} bytes"
