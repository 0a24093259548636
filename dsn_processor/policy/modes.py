"""Which reports may change an address, by where they came from; and why."""

from collections.abc import Mapping
from typing import NamedTuple

from dsn_processor.policy.options import SOURCES, PolicyOptions
from dsn_processor.terms import Mode

_AUTO = "auto"


class Ruling(NamedTuple):
    """By what addresses are judged. ``keys``: there is one to prove reports by."""

    options: PolicyOptions = PolicyOptions()
    keys: bool = False


class Chosen(NamedTuple):
    """``why`` is a clause; ``change`` is the line of the configuration that makes it another."""

    mode: Mode
    why: str
    change: str


def way_of(source: str) -> str:
    """One of SOURCES, for what a mail's ``source`` says."""
    way = source.partition(":")[0]
    return way if way in SOURCES else "files"


def mode_of(way: str, options: PolicyOptions, *, proving: bool) -> Chosen:
    """The mode for mails that come one way. ``proving``: there is a key, or something registered that was sent."""
    for text in options.modes:
        name, _, mode = text.partition("=")
        if name == way and mode != _AUTO:
            return Chosen(Mode(mode), "so configured for this source", f'[policy] modes = ["{way}=..."]')
    if options.mode != _AUTO:
        return Chosen(Mode(options.mode), "so configured", '[policy] mode = "..."')
    if proving:
        return Chosen(Mode.STRICT, "reports can be proven by key or registry", '[policy] mode = "open"')
    if way == "files":
        return Chosen(Mode.OPEN, "whoever replays files answers for them", '[policy] mode = "observe"')
    return Chosen(
        Mode.OBSERVE,
        "anybody can send a report here, and without key or registry none can be proven",
        f'[policy] modes = ["{way}=open"]',
    )


def lines_of(modes: Mapping[str, Chosen]) -> list[str]:
    """What mails may change, for a person to read: those that may the same, for the same reason, together."""
    ways: dict[tuple[Mode, str], list[str]] = {}
    for way, one in modes.items():
        ways.setdefault((one.mode, one.why), []).append(way)
    return [
        f"{mode.value} for {', '.join(names)}: {why}; {modes[names[0]].change} changes that"
        for (mode, why), names in ways.items()
    ]
