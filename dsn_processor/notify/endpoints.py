"""Who is told: facts of an endpoint, and what it wants to hear."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any

from dsn_processor.notify.notification import EventType

#: Where the own format's Standard Webhooks headers are all there is, an endpoint is told of everything.
EVERYTHING = ("*",)


class EndpointKind(StrEnum):
    """An application's webhook, or people by way of some service (notify/people)."""

    WEBHOOK = "webhook"
    PEOPLE = "people"


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """``events`` are types, or patterns of them (``bounce.*``); ``filters`` narrow them for people. ``key`` is what a foreign
    format signs with. ``previous_secret`` is valid, too, until ``previous_until``. ``why`` says why it is not enabled.
    Until ``paused_until``, in seconds since 1970, it asked to be left alone.
    """

    id: int
    name: str
    kind: EndpointKind
    url: str
    format: str
    events: tuple[str, ...] = EVERYTHING
    filters: Mapping[str, Any] = field(default_factory=dict)
    key: str = ""
    secret: str = ""
    previous_secret: str = ""
    previous_until: datetime | None = None
    enabled: bool = True
    why: str = ""
    paused_until: float = 0.0

    @cached_property
    def types(self) -> frozenset[EventType]:
        """What it wants to hear."""
        return types_of(self.events)

    def secrets(self, now: datetime) -> tuple[str, ...]:
        """Those that are valid now, the newest first."""
        if self.previous_secret and self.previous_until is not None and now < self.previous_until:
            return self.secret, self.previous_secret
        return (self.secret,)


def types_of(patterns: Iterable[str]) -> frozenset[EventType]:
    """The types that are meant. Raises ValueError on a pattern that means none."""
    found: set[EventType] = set()
    for one in patterns:
        meant = {type_ for type_ in EventType if fnmatchcase(type_.value, one)}
        if not meant:
            raise ValueError(f"{one!r} is no type of event: write {', '.join(EventType)}, or bounce.*, say")
        found |= meant
    return frozenset(found)
