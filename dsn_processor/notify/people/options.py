"""What an operator can set about people who want to hear of bounces: a [[notify]] each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from dsn_processor.errors import ConfigurationError
from dsn_processor.notify.people import composing, wording
from dsn_processor.notify.people.wanting import OCCASIONS
from dsn_processor.patterns import pattern
from dsn_processor.terms import Reason
from dsn_processor.units import Secrets

_NAME = pattern(r"[A-Za-z0-9]+([._-][A-Za-z0-9]+)*")
_URL = pattern(r"[A-Za-z][A-Za-z0-9+.-]{1,30}://\S+")
_MOST = 100_000  # characters of a file of URLs


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifyOptions:
    """``urls`` are Apprise's, each a service and who is to be told there; or ``urls_file`` has them, one a line. Of ``on``
    occasions, those are told that have one of ``reasons``, ``streams`` and ``tags`` ("name=value", or a name), where any
    are given. A digest comes at the full hour, or at ``digest_hour`` (UTC). ``title`` and ``message`` are templates of what is told
    alone; what is told together is summed up.
    """

    name: str
    urls: Secrets = field(default=(), repr=False)
    urls_file: str = ""
    on: tuple[str, ...] = ("hard_bounce", "block", "sender_blocked", "complaint", "held", "quarantine")
    reasons: tuple[str, ...] = ()
    streams: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    digest: Literal["none", "hourly", "daily"] = "none"
    digest_hour: int = 8
    title: str = composing.TITLE
    message: str = composing.MESSAGE

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or len(self.name) > 64:
            raise ValueError(f"name is {self.name!r}: write letters and digits, with . - _ between them")
        if bool(self.urls) == bool(self.urls_file):
            raise ValueError(
                "urls and urls_file are both set: leave one out"
                if self.urls
                else "urls_file is missing: name a file that holds Apprise URLs, one a line"
            )
        _check_urls("urls", self.urls)
        for one in self.on:
            if one not in OCCASIONS:
                raise ValueError(f"on has {one!r}: write some of {', '.join(OCCASIONS)}")
        if not self.on:
            raise ValueError(
                f"on is empty, so that nobody would be told anything: write some of {', '.join(OCCASIONS)}"
            )
        for one in self.reasons:
            if one not in set(Reason):
                raise ValueError(f"reasons has {one!r}: docs/glossary.md has all there are")
        if not 0 <= self.digest_hour <= 23:
            raise ValueError("digest_hour has to be from 0 to 23")
        for name in ("title", "message"):
            try:
                wording.check(getattr(self, name), (*wording.NAMES, *composing.NAMES))
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None

    @property
    def filters(self) -> Mapping[str, Any]:
        """What decides whether, and when, something is told: JSON."""
        return {
            "on": list(self.on),
            "reasons": list(self.reasons),
            "streams": list(self.streams),
            "tags": list(self.tags),
            "digest": self.digest,
            "digest_hour": self.digest_hour,
        }

    def targets(self) -> tuple[str, ...]:
        """The URLs; a file is read anew each time. Raises ConfigurationError."""
        if not self.urls_file:
            return self.urls
        try:
            with Path(self.urls_file).open(encoding="utf-8") as file:
                lines = [line.strip() for line in file.read(_MOST).splitlines()]
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
            raise ConfigurationError(
                f"{self.urls_file} of notify.{self.name} cannot be read: {why}"
            ) from None
        urls = tuple(line for line in lines if line and not line.startswith("#"))
        if not urls:
            raise ConfigurationError(f"{self.urls_file} of notify.{self.name} holds no URL: write one a line")
        try:
            _check_urls(self.urls_file, urls)
        except ValueError as error:
            raise ConfigurationError(str(error)) from None
        return urls


def endpoint_name(name: str) -> str:
    """What the outbox calls people: webhooks have names, too."""
    return f"notify.{name}"


def _check_urls(name: str, urls: tuple[str, ...]) -> None:
    """Of a URL nothing is told but its place: it holds secrets."""
    for number, url in enumerate(urls, 1):
        if not _URL.fullmatch(url):
            raise ValueError(
                f"{name} has no Apprise URL in place {number}: write service://..., as mailto://, slack://"
            )
