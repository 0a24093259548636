"""What an operator can set of correlation: which mail is ours, and how that is told."""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Annotated

from dsn_processor.canonical import canonical_address
from dsn_processor.correlate.dkim import parse_key
from dsn_processor.correlate.token import VALID_DAYS, Key
from dsn_processor.facts import COUNTED_RECIPIENTS
from dsn_processor.patterns import pattern
from dsn_processor.units import Seconds, Unit

_DAY = 86_400.0
_HEADER = pattern(r"[!-9;-~]{1,77}")  # a field name (RFC 5322 section 2.2)


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrelationOptions:
    """``keys`` make and verify tokens, the first makes them (``1:SECRET``). A report counts for ``valid`` seconds after its
    mail was sent. ``header`` is a field of our mails that holds the message id that we know them by. ``streams`` are the
    names that tokens may tell by; ``lists`` addresses that hand mail on to many; ``dkim_keys`` public keys that our mails are
    signed by (``selector._domainkey.example.com v=DKIM1; p=...``). What was sent is known for
    ``keep_sends`` seconds. Without ``keys`` a message id that went to no more than ``shared_recipients`` proves for each of them.
    """

    keys: Annotated[tuple[str, ...], Unit.SECRET] = field(default=(), repr=False)
    valid: Seconds = VALID_DAYS * _DAY
    header: str = "X-DSN-Message-ID"
    streams: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()
    dkim_keys: tuple[str, ...] = ()
    keep_sends: Seconds = 90 * _DAY
    shared_recipients: int = 10

    def __post_init__(self) -> None:
        found: dict[int, Key] = {}
        for number, text in enumerate(self.keys, 1):
            try:
                key = Key.parse(text)
            except ValueError as error:
                raise ValueError(f"keys: number {number} cannot be used: {error}") from None
            if key.id in found:
                raise ValueError(f"keys has two keys with the number {key.id}: give one of them another")
            found[key.id] = key
        for text in self.dkim_keys:
            try:
                parse_key(text)
            except ValueError as error:
                raise ValueError(f"dkim_keys has {text[:80]!r}: {error}") from None
        if not _DAY <= self.valid <= 3_650 * _DAY:
            raise ValueError("valid has to be from 1d to 3650d")
        if self.keep_sends < self.valid:
            raise ValueError(
                "keep_sends has to be as long as valid, or longer: a report is matched by what is kept"
            )
        if not 1 <= self.shared_recipients <= COUNTED_RECIPIENTS:
            raise ValueError(f"shared_recipients has to be from 1 to {COUNTED_RECIPIENTS}")
        if not _HEADER.fullmatch(self.header):
            raise ValueError("header has to be the name of a header field, as in X-DSN-Message-ID")
        for address in self.lists:
            if "@" not in address:
                raise ValueError(f"lists has {address!r}, which is no address")

    @property
    def valid_days(self) -> int:
        return int(self.valid // _DAY)


class Ours:
    """The options as correlation wants them: ``keys`` by number, ``signing`` the one that makes tokens, or None."""

    def __init__(self, options: CorrelationOptions) -> None:
        keys = [Key.parse(text) for text in options.keys]
        self.options = options
        self.keys = {key.id: key for key in keys}
        self.signing = keys[0] if keys else None
        self.valid_days = options.valid_days
        self.header = options.header
        self.streams = options.streams
        # Who has tokens need not trust that nobody of several recipients reports for another.
        self.shared_recipients = 1 if keys else options.shared_recipients
        self.dkim = dict(map(parse_key, options.dkim_keys))
        self.lists = frozenset(map(canonical_address, options.lists))


@lru_cache(maxsize=4)
def ours(options: CorrelationOptions) -> Ours:
    return Ours(options)
