"""What an operator can set of what events do to addresses."""

from dataclasses import dataclass
from datetime import timedelta

from dsn_processor.policy.schedule import Schedule, schedule
from dsn_processor.terms import Mode
from dsn_processor.units import Seconds, parse_seconds

_DAY = 86_400.0
_PERMANENT = "permanent"
#: Where mails come from, as far as modes tell it apart: "files" are those that an operator replays.
SOURCES = ("smtp", "lmtp", "imap", "pop3", "ingest", "files")


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyOptions:
    """``mode`` is strict, open, observe, or auto; ``modes`` has another one for a source (``imap=open``). A hard failure
    suppresses at once from ``confidence`` on. ``strikes`` in a row suppress, or ``span_strikes`` over ``span`` seconds.
    ``tiers`` say for how long: the first time, the second, and so on; ``hard_tiers`` after a hard failure. More than
    ``wave_least`` and more than ``wave_share`` of the addresses known, within an hour, are held for review. ``retries`` is
    the schedule of attempts, ``domain_retries`` that of a domain (``example.net=industry``).
    """

    mode: str = "auto"
    modes: tuple[str, ...] = ()
    confidence: float = 0.9
    strikes: float = 5.0
    span_strikes: float = 3.0
    span: Seconds = 30 * _DAY
    tiers: tuple[str, ...] = ("1d", "14d", _PERMANENT)
    hard_tiers: tuple[str, ...] = (_PERMANENT,)
    wave_least: int = 50
    wave_share: float = 0.02
    retries: str = "seed"
    domain_retries: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.mode not in _MODES:
            raise ValueError(f"mode is {self.mode!r}: write auto, strict, open or observe")
        for text in self.modes:
            source, _, mode = text.partition("=")
            if source not in SOURCES or mode not in _MODES:
                raise ValueError(
                    f"modes: {text!r} is no source with its mode: write imap=open, say; sources are {', '.join(SOURCES)}"
                )
        for name, value in (("confidence", self.confidence), ("wave_share", self.wave_share)):
            if not 0.0 <= value <= 1.0:
                raise ValueError(f"{name} has to be from 0.0 to 1.0")
        if self.strikes <= 0 or self.span_strikes <= 0 or self.span < 0 or self.wave_least < 0:
            raise ValueError(
                "strikes and span_strikes have to be above 0, span and wave_least no less than 0"
            )
        for name, tiers in (("tiers", self.tiers), ("hard_tiers", self.hard_tiers)):
            if not tiers or not all(map(_lasting, tiers)):
                raise ValueError(f"{name}: write durations above 0, or permanent, at least one of them")
        self.schedule_of("")
        for text in self.domain_retries:
            if not all(text.partition("=")):
                raise ValueError(
                    f"domain_retries: {text!r} is no domain with its schedule: example.net=industry"
                )
            schedule(text.partition("=")[2])

    def schedule_of(self, domain: str) -> Schedule:
        """When mail to this domain is tried again."""
        for text in self.domain_retries:
            name, _, words = text.partition("=")
            if name.lower() == domain:
                return schedule(words)
        return schedule(self.retries)

    def lasts(self, tier: int, *, hard: bool) -> timedelta | None:
        """For how long the ``tier``-th suppression in a row, from 1 on; None is for good."""
        tiers = self.hard_tiers if hard else self.tiers
        text = tiers[min(tier, len(tiers)) - 1]
        return None if text == _PERMANENT else timedelta(seconds=parse_seconds(text))


_MODES = {"auto", *Mode}


def _lasting(tier: str) -> bool:
    try:
        return tier == _PERMANENT or parse_seconds(tier) > 0
    except ValueError:
        return False
