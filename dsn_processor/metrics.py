"""What a running server counts, for Prometheus. Names and labels are documented in docs/metrics.md; a test compares.

The registry is our own: nothing of a library's stands beside it. Whoever counts on a hot path binds the labels once:

    accepted = metrics.ACCEPTED.labels("smtp")
    accepted.inc()

Labels take few, known values only: never an address, a host or a text of somebody else's.
"""

import math
import platform
import sqlite3
from collections.abc import Callable
from enum import StrEnum

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.process_collector import ProcessCollector

from dsn_processor import __version__

LISTENERS = ("smtp", "lmtp", "control")


class Refused(StrEnum):
    """Why a listener said no, to a mail, a recipient, a command or a whole connection."""

    UNKNOWN_RECIPIENT = "unknown_recipient"
    ADDRESS = "address"  # one that RFC 5321 does not allow
    TOO_MANY_RECIPIENTS = "too_many_recipients"
    TOO_LARGE = "too_large"
    STORE = "store"
    FULL = "full"
    STOPPING = "stopping"
    CONNECTIONS = "connections"
    RATE = "rate"
    PROTOCOL = "protocol"
    JUNK = "junk"  # too many errors, or commands that do nothing
    TIMEOUT = "timeout"
    TLS = "tls"
    PROXY = "proxy"
    INTERNAL = "internal"


class Restart(StrEnum):
    """Why a worker process was replaced."""

    CRASH = "crash"  # also one that wants more memory than it may have
    TIME = "time"


class Fault(StrEnum):
    """What the store met."""

    BUSY = "busy"
    FULL = "full"
    MOVED = "moved"  # the file was moved, removed or replaced
    OTHER = "other"


# The time a counter was made helps nobody: Prometheus sees resets without it, and it doubles the page.
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)

_PREFIX = "dsn_processor_"


def _counter(name: str, help_text: str, *labels: str) -> Counter:
    return Counter(_PREFIX + name, help_text, labels, registry=REGISTRY)


def _gauge(name: str, help_text: str, *labels: str) -> Gauge:
    return Gauge(_PREFIX + name, help_text, labels, registry=REGISTRY)


def _histogram(name: str, help_text: str, *buckets: float) -> Histogram:
    return Histogram(_PREFIX + name, help_text, buckets=buckets, registry=REGISTRY)


# ---- taking mail in

SESSIONS = _counter("sessions_total", "Connections that were served.", "listener")
SESSIONS_OPEN = _gauge("sessions_open", "Connections that are being served now.", "listener")
SESSIONS_TLS = _counter("sessions_tls_total", "Connections that switched to TLS.", "listener")
ACCEPTED = _counter("mails_accepted_total", "Mails answered with 250: on disk, or there before.", "listener")
DUPLICATES = _counter("mails_duplicate_total", "Accepted mails that were there before.", "listener")
TRUNCATED = _counter("mails_truncated_total", "Accepted mails of which only the head was kept.", "listener")
ACCEPTED_BYTES = _counter("mails_accepted_bytes_total", "Bytes of accepted mails.", "listener")
REFUSED = _counter(
    "refused_total", "Mails, recipients, commands and connections refused.", "listener", "cause"
)

# ---- the store

COMMIT_SECONDS = _histogram(
    "commit_seconds",
    "How long the writer took to commit and sync a group of mails.",
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
COMMIT_MAILS = _histogram("commit_mails", "Mails committed together.", 1, 2, 4, 8, 16, 32, 64, 128, 256)
ACCEPT_SECONDS = _histogram(
    "accept_seconds",
    "From the last byte of a mail until it was on disk: what a sender waits for its 250.",
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
STORE_FAULTS = _counter("store_faults_total", "Times the store could not be written.", "kind")
STORE_FREE_BYTES = _gauge("store_free_bytes", "Room left on the file system of the database.")

# ---- making sense of it

QUEUE_MAILS = _gauge("queue_mails", "Mails on disk that wait to be processed.")
QUEUE_OLDEST_SECONDS = _gauge(
    "queue_oldest_seconds", "How long the oldest of them has been waiting; 0 where none does."
)
PROCESSED = _counter("mails_processed_total", "Mails made sense of, by what they are.", "kind")
EVENTS = _counter(
    "events_total",
    "What happened to recipients; type and reason are empty where nothing failed.",
    *("kind", "type", "reason"),
)
PROCESSING_SECONDS = _histogram(
    "processing_seconds",
    "How long a worker took over a mail.",
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
QUARANTINED = _counter("mails_quarantined_total", "Mails put aside after two failed attempts.")
QUARANTINE_MAILS = _gauge("quarantine_mails", "Mails that lie in quarantine now.")
WORKERS = _gauge("workers", "Worker processes that run now.")
WORKER_RESTARTS = _counter("worker_restarts_total", "Worker processes that were replaced.", "cause")

ALERTS = _counter("alerts_total", "Times that a person should have looked at addresses.", "kind")
WAVES_UNDECIDED = _gauge("waves_undecided", "Held waves of suppressions that nobody has decided upon.")

# ---- mailboxes

ACCOUNT_UP = _gauge("account_up", "1 while an account works; 0 after a failure.", "account")
ACCOUNT_CHECKED = _gauge(
    "account_checked_timestamp_seconds", "When an account was last read to its end; 0: never.", "account"
)
ACCOUNT_WAITING = _gauge(
    "account_waiting_mails", "Mails found in an account and still to be fetched.", "account"
)
ACCOUNT_MAILS = _counter("account_mails_total", "Mails met in an account.", "account", "result")
ACCOUNT_FAILURES = _counter(
    "account_failures_total", "Times something went wrong with an account.", "account"
)

# ---- webhooks

WEBHOOK_ATTEMPTS = _counter(
    "webhook_attempts_total",
    "Attempts to deliver to an endpoint, by what came of them.",
    "endpoint",
    "result",
)
WEBHOOK_SECONDS = _histogram(
    "webhook_seconds",
    "How long an attempt to deliver a webhook took.",
    *(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
WEBHOOK_PENDING = _gauge("webhook_pending", "Deliveries that wait for their turn or next attempt.")
WEBHOOK_OLDEST_SECONDS = _gauge(
    "webhook_oldest_seconds", "How long the oldest of them has been waiting; 0 where none does."
)
WEBHOOK_DEAD = _gauge("webhook_dead", "Deliveries that were given up, and can be replayed.")

# ---- the program itself

READY = _gauge("ready", "1 while mail is taken; 0 while senders are told to come again.")
RELOADS = _counter("reloads_total", "Times configuration and rules were read again.", "result")
BUILD = Info(_PREFIX + "build", "Versions.", registry=REGISTRY)
BUILD.info({"version": __version__, "python": platform.python_version(), "sqlite": sqlite3.sqlite_version})


def observe(gauge: Gauge, value: Callable[[], float]) -> None:
    """Ask ``value`` each time ``gauge`` is read, in the thread that serves the page. One that cannot be told (a folder is
    gone) is NaN: the other figures are needed then more than ever.
    """

    def told() -> float:
        try:
            return value()
        except OSError:
            return math.nan

    gauge.set_function(told)


def page() -> tuple[bytes, str]:
    """All metrics in Prometheus' text format, and its content type."""
    return prometheus_client.generate_latest(REGISTRY), prometheus_client.CONTENT_TYPE_PLAIN_0_0_4


def _show_zeros() -> None:
    """Make each series whose labels are known: an alert on a rate needs the zero before the first one."""
    for listener in LISTENERS:
        for metric in (
            SESSIONS,
            SESSIONS_OPEN,
            SESSIONS_TLS,
            ACCEPTED,
            DUPLICATES,
            TRUNCATED,
            ACCEPTED_BYTES,
        ):
            metric.labels(listener)
        for cause in Refused:
            REFUSED.labels(listener, cause.value)
    for fault in Fault:
        STORE_FAULTS.labels(fault.value)
    for kind in ("blocks", "suppressions_held"):
        ALERTS.labels(kind)
    for restart in Restart:
        WORKER_RESTARTS.labels(restart.value)
    for result in ("done", "failed"):
        RELOADS.labels(result)


_show_zeros()
