"""Suppression lists of others, read: CSV of SES, Postmark, SendGrid and Mailgun, told by its header, or our own."""

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from dsn_processor.canonical import canonical_address
from dsn_processor.record.standing import NewAct
from dsn_processor.terms import SuppressionKind

_K = SuppressionKind
_KINDS = {
    "bounce": _K.BOUNCE,
    "hardbounce": _K.BOUNCE,
    "bounces": _K.BOUNCE,
    "blocked": _K.BOUNCE,
    "invalid": _K.BOUNCE,
    "complaint": _K.COMPLAINT,
    "complaints": _K.COMPLAINT,
    "spamcomplaint": _K.COMPLAINT,
    "spam": _K.COMPLAINT,
    "spamreport": _K.COMPLAINT,
    "unsubscribe": _K.UNSUBSCRIBE,
    "unsubscribes": _K.UNSUBSCRIBE,
    "unsubscribed": _K.UNSUBSCRIBE,
    "manualsuppression": _K.MANUAL,
    "manual": _K.MANUAL,
}


#: What a cell begins with that a spreadsheet may compute; and the quote that keeps it from that.
_COMPUTING = {"=", "+", "-", "@", "\t", "\r", "'"}


class Format(NamedTuple):
    """``needs`` are the columns that tell it; the others name where things stand."""

    name: str
    needs: frozenset[str]
    address: str
    kind: tuple[str, ...]
    at: tuple[str, ...]
    reason: tuple[str, ...]


#: The most particular first. Columns are compared in small letters without blanks, - and _.
FORMATS = (
    Format("our own", frozenset({"address", "kind", "standing"}), "address", ("kind",), ("at",), ("reason",)),
    Format(
        "SES", frozenset({"emailaddress", "reason"}), "emailaddress", ("reason",), ("lastupdatetime",), ()
    ),
    Format(
        "Postmark",
        frozenset({"emailaddress", "suppressionreason"}),
        "emailaddress",
        ("suppressionreason",),
        ("createdat",),
        ("origin",),
    ),
    Format(
        "SendGrid", frozenset({"email", "created"}), "email", ("type",), ("created",), ("reason", "status")
    ),
    Format(
        "Mailgun",
        frozenset({"address", "createdat"}),
        "address",
        ("type",),
        ("createdat",),
        ("error", "code", "tags"),
    ),
    Format("a list", frozenset({"address"}), "address", ("kind", "type"), ("at",), ("reason",)),
    Format("a list", frozenset({"email"}), "email", ("kind", "type"), ("at",), ("reason",)),
)


def read_list(
    lines: Iterable[str], reason: str, kind: SuppressionKind, now: datetime, wrong: Callable[[int, str], None]
) -> Iterator[NewAct]:
    """The entries of a list. ``kind`` is for those that do not say theirs, ``reason`` goes with each. ``wrong`` is told the line
    and why of those that cannot be used. Raises ValueError where the header is none of a format known.
    """
    rows = csv.reader(lines)
    columns = [_name(word) for word in next(rows, [])]
    form = next((one for one in FORMATS if one.needs <= set(columns)), None)
    if form is None:
        raise ValueError(
            "the first line names no columns that are known: CSV of SES, Postmark, SendGrid or Mailgun is, and any with address"
        )
    for row in rows:
        if not row:
            continue
        values = dict(zip(columns, row, strict=False))
        address = canonical_address(_plain(values.get(form.address, "")))
        if address.count("@") == 0 or any(mark in address for mark in " ,;<>"):
            wrong(rows.line_num, f"{address!r} is no address")
            continue
        said = _first(values, form.kind)
        told = next(filter(None, (_KINDS.get(_name(said)),)), kind)
        why = ": ".join(filter(None, (reason, _plain(_first(values, form.reason)))))
        yield NewAct(address, why[:500], _time(_first(values, form.at), now), told)


def _name(word: str) -> str:
    return "".join(mark for mark in word.strip().lstrip("\ufeff").lower() if mark not in " -_")


def _first(values: Mapping[str, str], names: Iterable[str]) -> str:
    return next((values[name] for name in names if values.get(name)), "")


def _plain(cell: str) -> str:
    """A cell without the quote that keeps a spreadsheet from computing it."""
    return cell[1:] if cell[:1] == "'" and cell[1:2] in _COMPUTING else cell


def _time(text: str, now: datetime) -> datetime:
    """When it was put there; ``now`` where that cannot be read, or lies ahead."""
    text = text.strip().removesuffix(" UTC")
    for form in ("", "%a, %d %b %Y %H:%M:%S", "%a, %d %b %Y %H:%M:%S %z"):
        try:
            if text.isdecimal():
                at = datetime.fromtimestamp(int(text[:11]), UTC)
            else:
                at = datetime.strptime(text, form) if form else datetime.fromisoformat(text)  # noqa: DTZ007  below
        except (ValueError, OverflowError, OSError):
            continue
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        return min(at.astimezone(UTC), now)
    return now


def safe_cell(text: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{text}" if text[:1] in _COMPUTING else text
