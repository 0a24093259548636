"""Waves: where one domain, or one server, would have many addresses suppressed within an hour, somebody looks first."""

from datetime import UTC, datetime

from dsn_processor.policy.options import PolicyOptions

_HOUR = 3600


def hour_of(at: datetime) -> int:
    """The hour that an event is in, counted from 1970."""
    return int(at.timestamp()) // _HOUR


def name_of(kind: str, subject: str, hour: int) -> str:
    """What a wave is called: ``example.net@2026-11-21T08``, ``mx:mx.example.net@2026-11-21T08``."""
    day = datetime.fromtimestamp(hour * _HOUR, UTC).strftime("%Y-%m-%dT%H")
    return f"{'' if kind == 'domain' else 'mx:'}{subject}@{day}"


def is_wave(addresses: int, known: int, options: PolicyOptions) -> bool:
    """Whether so many suppressions within an hour are held. ``known`` is how many addresses there are to suppress."""
    return addresses > max(options.wave_least, options.wave_share * known)
