"""The state of an address: a fold over all that is known of it, in the order in which it happened.

What came first to us does not matter, nor in what portions: whoever knows the same has the same state. Two ledgers are
kept side by side: what counts, and what would count if everything that is only observed did.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from dsn_processor.policy.effect import What, becomes_hard, counts, effect
from dsn_processor.policy.happenings import Happening, Known, ManualAct, Success
from dsn_processor.policy.options import PolicyOptions
from dsn_processor.terms import Act, Deliverability, Kind, Mode, SuppressionKind, Trust

TOO_MANY = "Too many soft bounces"
_TRUST = list(Trust)
_BOUNCE, _COMPLAINT = SuppressionKind.BOUNCE, SuppressionKind.COMPLAINT


class Suppression(NamedTuple):
    """Why an address gets no mail. ``until`` None is for good. ``cause`` is the identity of the event or act. ``guarded``:
    made by a machine from what servers say, so that a sudden wave of them is held. ``tier`` counts those in a row.
    """

    kind: SuppressionKind
    at: datetime
    until: datetime | None
    reason: str
    cause: str
    tier: int = 1
    proposed: bool = False
    guarded: bool = False
    remote_mta: str = ""
    author: str = ""

    def lasts(self, now: datetime) -> bool:
        return self.until is None or self.until > now


class State(NamedTuple):
    """What is known of an address in short. ``strikes`` are weights of failed messages in a row. ``reason`` is the last one
    that counted. ``capped``: so much is known of it that only the newest was looked at.
    """

    address: str
    deliverability: Deliverability = Deliverability.OK
    strikes: float = 0.0
    messages: int = 0
    first_strike_at: datetime | None = None
    last_strike_at: datetime | None = None
    last_success_at: datetime | None = None
    reason: str | None = None
    capped: bool = False
    suppressions: tuple[Suppression, ...] = ()


class _Step(NamedTuple):
    at: datetime
    identity: str
    trust: Trust
    what: Happening | Success | ManualAct


class _Ledger:
    """``failed`` are the messages that failed after all: their delivery to a first server is no success."""

    def __init__(self, options: PolicyOptions, domain: str, failed: frozenset[str]) -> None:
        self._options = options
        self._most = len(options.schedule_of(domain).delays)
        self._failed = failed
        self.strikes: dict[str, tuple[float, datetime]] = {}
        self.attempts: dict[str, set[datetime]] = {}
        self.tier = 0
        self.last_success_at: datetime | None = None
        self.reason: str | None = None
        self.suppressions: dict[SuppressionKind, Suppression] = {}

    def happened(self, step: _Step, happening: Happening) -> None:
        does = effect(happening, self._options)
        if does.what is What.SUCCESS:
            self.succeeded(step.at, happening.about)
        elif does.what is What.COMPLAINT:
            self._set(
                Suppression(_COMPLAINT, step.at, None, f"Complaint: {happening.feedback_type}", step.identity)
            )
        elif does.what in {What.STRIKE, What.SUPPRESS}:
            self.reason = happening.reason and happening.reason.value
            self.strikes.setdefault(happening.about, (does.weight or 1.0, step.at))
            if does.what is What.SUPPRESS:
                self._bounced(step, happening, f"Hard bounce: {self.reason}", hard=True)
            elif self._exhausted(step, happening):
                self._bounced(step, happening, f"Every attempt failed: {self.reason}", hard=True)
            elif self._too_many():
                self._bounced(step, happening, TOO_MANY, hard=False)

    def _exhausted(self, step: _Step, happening: Happening) -> bool:
        times = self.attempts.setdefault(happening.about, set())
        times.add(step.at)
        return len(times) >= self._most and becomes_hard(happening, self._options)

    def _too_many(self) -> bool:
        weight = sum(weight for weight, _ in self.strikes.values())
        times = [at for _, at in self.strikes.values()]
        span = (max(times) - min(times)).total_seconds()
        return weight >= self._options.strikes or (
            weight >= self._options.span_strikes and span >= self._options.span
        )

    def _bounced(self, step: _Step, happening: Happening, reason: str, *, hard: bool) -> None:
        before = self.suppressions.get(_BOUNCE)
        if before is not None and before.lasts(step.at):
            if not hard or before.until is None:
                return
        else:
            self.tier += 1
        lasts = self._options.lasts(self.tier, hard=hard)
        until = None if lasts is None else step.at + lasts
        mta = happening.remote_mta
        self._set(
            Suppression(
                _BOUNCE, step.at, until, reason, step.identity, self.tier, guarded=True, remote_mta=mta
            )
        )

    def _set(self, suppression: Suppression) -> None:
        before = self.suppressions.get(suppression.kind)
        if before is None or not before.lasts(suppression.at) or before.until is not None:
            self.suppressions[suppression.kind] = suppression

    def succeeded(self, at: datetime, about: str) -> None:
        """Strikes are gone, and the tiers one step back; a suppression that ends by itself ends now."""
        if about in self._failed:
            return
        self.last_success_at = at
        self.strikes.clear()
        self.attempts.clear()
        self.tier = max(0, self.tier - 1)
        bounce = self.suppressions.get(_BOUNCE)
        if bounce is not None and bounce.until is not None and not bounce.author:
            del self.suppressions[_BOUNCE]

    def cleared(self, kind: SuppressionKind | None) -> None:
        for one in [kind] if kind else list(self.suppressions):
            self.suppressions.pop(one, None)
        if kind in {None, _BOUNCE}:
            self.strikes.clear()
            self.attempts.clear()
            self.tier = 0

    def begin_as(self, other: "_Ledger") -> None:
        """Begin anew from where the other stands."""
        self.strikes = dict(other.strikes)
        self.attempts = {about: set(times) for about, times in other.attempts.items()}
        self.tier, self.last_success_at, self.reason = other.tier, other.last_success_at, other.reason
        self.suppressions = dict(other.suppressions)

    def added(self, act: ManualAct) -> None:
        kind = act.kind or SuppressionKind.MANUAL
        self.suppressions[kind] = Suppression(
            kind, act.at, act.until, act.reason, act.identity, author=act.author
        )


def fold(known: Known, options: PolicyOptions) -> State:
    """The state of an address by all that is known of it, whatever its order. Of one that was only mailed there is none."""
    if known.successes and not (known.acts or any(_matters(one, options) for one in known.happenings)):
        return State(known.address, capped=known.capped)
    real = whole = _ledger(known, options, observed=False)
    ledgers = [(real, False)]
    if any(one.mode is Mode.OBSERVE for one in known.happenings):  # else both are the same
        whole = _ledger(known, options, observed=True)
        ledgers.append((whole, True))
    for step in _steps(known):
        what = step.what
        if isinstance(what, ManualAct):
            _act(real, whole, what)
            continue
        for ledger, observed in ledgers:
            if isinstance(what, Success):
                ledger.succeeded(step.at, what.about)
            elif _told(what.mode, step.trust, observed=observed):
                ledger.happened(step, what)
    proposed = [
        one._replace(proposed=True)
        for kind, one in whole.suppressions.items()
        if kind not in real.suppressions or not real.suppressions[kind].lasts(one.at)
    ]
    taken = {one.kind for one in proposed}
    kept = [one for kind, one in real.suppressions.items() if kind not in taken]
    times = [at for _, at in real.strikes.values()]
    risk = Deliverability.AT_RISK if times else Deliverability.OK
    return State(
        address=known.address,
        deliverability=Deliverability.UNDELIVERABLE if _BOUNCE in real.suppressions else risk,
        strikes=sum(weight for weight, _ in real.strikes.values()),
        messages=len(times),
        first_strike_at=min(times, default=None),
        last_strike_at=max(times, default=None),
        last_success_at=real.last_success_at,
        reason=real.reason if times or _BOUNCE in real.suppressions else None,
        capped=known.capped,
        suppressions=tuple(sorted((*kept, *proposed), key=lambda one: one.kind)),
    )


def _matters(happening: Happening, options: PolicyOptions) -> bool:
    trusts = (happening.trust, *(made.trust for made in happening.attempts))
    return effect(happening, options).what is not What.NOTHING and any(
        _told(happening.mode, trust, observed=True) for trust in trusts
    )


def _told(mode: Mode, trust: Trust, *, observed: bool) -> bool:
    return counts(mode, trust) or (observed and mode is Mode.OBSERVE)


def _ledger(known: Known, options: PolicyOptions, *, observed: bool) -> _Ledger:
    failed = frozenset(
        one.about
        for one in known.happenings
        if one.kind is Kind.FAILED and not one.late and _told(one.mode, one.trust, observed=observed)
    )
    return _Ledger(options, known.address.rpartition("@")[2], failed)


def _act(real: _Ledger, whole: _Ledger, act: ManualAct) -> None:
    """What somebody did, to both ledgers, which may be one."""
    if act.act is Act.ADD:
        real.added(act)
        whole.added(act)
        return
    if act.act is Act.REMOVE:
        real.cleared(act.kind)
        whole.cleared(act.kind)
        return
    if act.act is Act.ACCEPT:
        for kind, one in whole.suppressions.items():
            if kind not in real.suppressions or not real.suppressions[kind].lasts(one.at):
                until = None if one.until is None else act.at + (one.until - one.at)
                real.suppressions[kind] = one._replace(
                    at=act.at, until=until, author=act.author, guarded=False
                )
        real.strikes, real.tier, real.reason = dict(whole.strikes), whole.tier, whole.reason
    whole.begin_as(real)


def _steps(known: Known) -> list[_Step]:
    """All that happened, in order."""
    steps = [*_failures(known.happenings)]
    steps += [_Step(one.at, one.identity, Trust.SIGNED, one) for one in known.successes]
    steps += [_Step(one.at, one.identity, Trust.SIGNED, one) for one in known.acts]
    return sorted(steps, key=lambda step: (step.at, step.identity))


def _failures(happenings: tuple[Happening, ...]) -> Iterator[_Step]:
    """Each attempt once, as far as the best report of it proves it."""
    for one in happenings:
        if not one.attempts:
            yield _Step(one.at, one.identity, one.trust, one)
            continue
        times: dict[datetime, Trust] = {}
        for at, trust in one.attempts:
            if at not in times or _TRUST.index(trust) < _TRUST.index(times[at]):
                times[at] = trust
        for at, trust in times.items():
            yield _Step(at, one.identity, trust, one)
