"""What people do to addresses, as words that a command can hand over to the server that holds the database."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from dsn_processor.errors import UsageError
from dsn_processor.record.standing import By, NewAct
from dsn_processor.terms import Act, SuppressionKind

if TYPE_CHECKING:
    from dsn_processor.record.store import Store

Deed = dict[str, Any]  #: JSON


def acting(act: Act, acts: Sequence[NewAct], author: str) -> Deed:
    """Do it to addresses."""
    rows = [
        [one.address, one.reason, one.at.isoformat(), one.kind, one.until and one.until.isoformat()]
        for one in acts
    ]
    return {"do": "act", "act": act, "acts": rows, "author": author}


def settling(wave: str, decision: str, by: By) -> Deed:
    """Have a wave ``released`` or ``undone``."""
    return {"do": "wave", "wave": wave, "decision": decision, "author": by.author, "reason": by.reason}


def rebuilding(by: By) -> Deed:
    """Fold everything again."""
    return {"do": "rebuild", "author": by.author, "reason": by.reason}


def do(store: "Store", deed: Deed) -> int:
    """Do it, in one transaction. Returns how many addresses changed. Raises UsageError, StoreError."""
    by = By(deed["author"], deed.get("reason", ""))
    with store.transaction():
        if deed["do"] == "act":
            acts = [_act(row) for row in deed["acts"]]
            reasons = {one.reason for one in acts}
            by = By(by.author, reasons.pop() if len(reasons) == 1 else "")  # else each has its own
            return store.addresses.act_each(Act(deed["act"]), acts, by)
        if deed["do"] == "wave":
            return store.addresses.decide_wave(deed["wave"], deed["decision"], by)
        if deed["do"] == "rebuild":
            return store.addresses.rebuild(by)
    raise UsageError(f"nothing is called {deed['do']!r}")


def _act(row: Sequence[Any]) -> NewAct:
    address, reason, at, kind, until = row
    return NewAct(
        address, reason, _time(at), SuppressionKind(kind) if kind else None, _time(until) if until else None
    )


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
