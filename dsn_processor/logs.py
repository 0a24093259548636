"""Log lines of a running server: one event a line on standard error, as JSON or for a person's eyes.

    log = logs.get_logger(room="smtp")
    log.info("mail accepted", mail=17, sender="", recipients=["bounces@example.com"], bytes=2_317)

The event is a fixed phrase; what varies goes into keys. Values may be anything a stranger sent: controls, escape
sequences, line separators and bidirectional overrides are escaped. Values of secret keys never get here. Where asked,
addresses are replaced by a keyed hash: lines about one address can still be told together.

Other libraries' logging (uvicorn, aiosmtpd, asyncio, warnings) ends in the same lines.
"""

import hmac
import json
import logging
import os
import re
import sys
import threading
from collections.abc import Callable, Iterable, MutableMapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Literal, cast

import orjson
import structlog
from structlog.dev import (
    Column,
    ColumnFormatter,
    ConsoleRenderer,
    KeyValueColumnFormatter,
    LogLevelColumnFormatter,
)
from structlog.typing import FilteringBoundLogger, Processor

from dsn_processor.safe import UNSAFE, safe
from dsn_processor.units import Secret

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_ADDRESSES = ("sender", "recipient", "recipients", "address")
_SECRETS = frozenset({"password", "secret", "token", "hash_key", "authorization", "cookie"})
#: Libraries that tell every step; what is worth a line is told by whoever uses them.
_QUIET = ("mail.log", "aiosmtpd", "alembic", "httpx", "httpcore")
_CAUSES = 3  # exceptions of a chain that are told
_FRAMES = 6  # calls of each, the innermost first


@dataclass(frozen=True, slots=True, kw_only=True)
class LogOptions:
    """How to log. ``format`` auto is console where standard error is a terminal, else json. With ``hash_addresses``
    addresses are shown as hashes under ``hash_key``; without one a key is drawn at each start.
    """

    format: Literal["auto", "json", "console"] = "auto"
    level: Literal["debug", "info", "warning", "error"] = "info"
    hash_addresses: bool = False
    hash_key: Secret = field(default="", repr=False)

    def __post_init__(self) -> None:
        if 0 < len(self.hash_key) < 16:
            raise ValueError(
                "hash_key is too short to keep addresses from being guessed: give 16 characters or more"
            )


def get_logger(**bound: Any) -> FilteringBoundLogger:
    """A logger with values that each of its lines has."""
    return cast("FilteringBoundLogger", structlog.get_logger(**bound))


def configure(options: LogOptions, out: BinaryIO | None = None) -> None:
    """Log so from now on, from all threads; to ``out``, else standard error. May be called again (a reload)."""
    lines = _Lines(out)
    _use(options, lines)
    root = logging.getLogger()
    for handler in [one for one in root.handlers if isinstance(one, _Bridge)]:
        root.removeHandler(handler)
    root.addHandler(_Bridge())
    root.setLevel(_LEVELS[options.level])
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.ERROR)
    logging.captureWarnings(capture=True)


def _use(options: LogOptions, lines: "_Lines") -> None:
    as_json = options.format == "json" or (options.format == "auto" and not lines.terminal)
    processors: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        _tell_exception,
        _mask,
    ]
    if options.hash_addresses:
        processors.append(_Hashed((options.hash_key or os.urandom(32).hex()).encode()))
    processors.append(_json_line if as_json else _Console(colors=lines.terminal))
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[options.level]),
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=False,  # a reload has to reach loggers that are in use
    )


class _Lines:
    """Writes whole lines. Nobody may lose mail because nobody listens: what cannot be written is dropped."""

    def __init__(self, out: BinaryIO | None) -> None:
        self._out = out
        self._lock = threading.Lock()
        self.terminal = out is None and sys.stderr is not None and sys.stderr.isatty()

    def write(self, line: bytes) -> None:
        with self._lock:
            try:
                out = self._out or sys.stderr.buffer
                out.write(line)
                out.flush()
            except (OSError, ValueError, AttributeError):  # full, closed, none
                return

    debug = info = warning = error = critical = write


class _Bridge(logging.Handler):
    """Hands what the stock logging is told to the same loggers."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            structlog.get_logger().log(
                min(record.levelno, logging.CRITICAL) // 10 * 10,
                "%s",
                record.getMessage(),
                logger=record.name,
                exc_info=record.exc_info or None,
            )
        except Exception:  # noqa: BLE001  as the stock handlers: no log line is worth a fault
            self.handleError(record)


def _tell_exception(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    given = event.pop("exc_info", None)
    if given is True:
        given = sys.exc_info()[1]
    elif isinstance(given, tuple):
        given = given[1]
    if isinstance(given, BaseException):
        event["exception"] = told(given)
    return event


def told(error: BaseException) -> str:
    """An exception, where it arose and what it came of, in one line: a traceback for a log."""
    parts: list[str] = []
    current: BaseException | None = error
    while current is not None and len(parts) < _CAUSES:
        frames = []
        trace = current.__traceback__
        while trace is not None:
            code = trace.tb_frame.f_code
            frames.append(f"{code.co_filename.rpartition('/')[2]}:{trace.tb_lineno} {code.co_name}")
            trace = trace.tb_next
        where = f" ({' < '.join(frames[: -_FRAMES - 1 : -1])})" if frames else ""
        parts.append(f"{type(current).__name__}: {current}"[:1000] + where)
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return " from ".join(parts)


def _mask(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key in _SECRETS.intersection(event):
        event[key] = "***"
    return event


class _Hashed:
    """Replaces addresses by hashes. The null sender stays: it is nobody's."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def __call__(self, _: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        for key in _ADDRESSES:
            value = event.get(key)
            if isinstance(value, str):
                event[key] = self._hash(value)
            elif isinstance(value, Iterable):
                event[key] = [self._hash(str(one)) for one in value]
        return event

    def _hash(self, address: str) -> str:
        text = address.casefold().encode("utf-8", "backslashreplace")
        return "#" + hmac.digest(self._key, text, "sha256")[:8].hex() if address else ""


def _json_line(_: Any, __: str, event: MutableMapping[str, Any]) -> bytes:
    ordered = {"time": event.pop("time"), "level": event.pop("level"), "event": event.pop("event"), **event}
    try:
        line = orjson.dumps(ordered, default=repr, option=_ORJSON)
    except orjson.JSONEncodeError:  # a lone surrogate, a huge number
        line = json.dumps(_whole(ordered), ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    if line.isascii() and b"\x7f" not in line:
        return line
    return UNSAFE.sub(_escaped, line[:-1].decode()).encode() + b"\n"


_ORJSON = orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS


def _escaped(match: re.Match[str]) -> str:
    return json.dumps(match[0])[1:-1] if ord(match[0]) > 0x7F else f"\\u{ord(match[0]):04x}"


def _whole(value: Any) -> Any:
    """``value`` as JSON can hold it; text that is none with its surrogates escaped."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, MutableMapping):
        return {str(key): _whole(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_whole(item) for item in value]
    return value if isinstance(value, bool | int | float | None) else _whole(repr(value))


class _Console:
    """For people: time, level, event, then the keys."""

    def __init__(self, *, colors: bool) -> None:
        styles = ConsoleRenderer.get_default_column_styles(colors=colors)

        def value(
            key: str | None, style: str, shown: Callable[[Any], str], width: int = 0
        ) -> ColumnFormatter:
            return KeyValueColumnFormatter(key, style, styles.reset, shown, width=width)

        level = LogLevelColumnFormatter(ConsoleRenderer.get_default_level_styles(colors=colors), styles.reset)
        self._render = ConsoleRenderer(
            sort_keys=False,
            columns=[
                Column("time", value(None, styles.timestamp, _to_the_second)),
                Column("level", level),
                Column("event", value(None, styles.bright, safe, width=28)),
                Column("", value(styles.kv_key, styles.kv_value, _quoted)),
            ],
        )

    def __call__(self, logger: Any, name: str, event: MutableMapping[str, Any]) -> bytes:
        shown = {safe(key): value for key, value in event.items()}
        if "exception" in shown:  # a word of the renderer's own, which gives it lines of its own
            shown["raised"] = shown.pop("exception")
        return str(self._render(logger, name, shown)).rstrip().encode() + b"\n"


def _to_the_second(time: Any) -> str:
    return f"{str(time)[:19]}Z"


def _quoted(value: Any) -> str:
    if isinstance(value, list | tuple | set | frozenset):
        value = ",".join(map(str, value))
    text = safe(value)
    return text if text and " " not in text and '"' not in text else '"' + text.replace('"', r"\"") + '"'


# Until ``configure`` is called (tests, a listener used alone): warnings to standard error.
_use(LogOptions(level="warning"), _Lines(None))
