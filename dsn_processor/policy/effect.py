"""What one event does to an address: suppress it, a strike, or nothing. The rules are here and nowhere else."""

from enum import Enum, auto
from typing import NamedTuple

from dsn_processor.policy.happenings import Happening
from dsn_processor.policy.options import PolicyOptions
from dsn_processor.terms import BounceType, Kind, Mode, Reason, Scope, Trust

#: What a strike for a reason weighs; one that is not here weighs nothing. docs/policy.md tells why.
WEIGHTS: dict[Reason, float] = {
    Reason.USER_UNKNOWN: 1.0,
    Reason.MAILBOX_DISABLED: 1.0,
    Reason.MAILBOX_ABANDONED: 1.0,
    Reason.MAILBOX_MOVED: 1.0,
    Reason.RECIPIENT_SYNTAX: 1.0,
    Reason.OWNER_CHANGED: 1.0,
    Reason.RECIPIENT_REJECTED: 1.0,
    Reason.SUPPRESSED_UPSTREAM: 1.0,
    Reason.DOMAIN_NOT_FOUND: 1.0,
    Reason.DOMAIN_NULL_MX: 1.0,
    Reason.MAILBOX_FULL: 1.0,
    Reason.MAILING_LIST: 0.5,
    Reason.RELAY_DENIED: 0.5,
    Reason.DNS_FAILURE: 0.5,
    Reason.NETWORK_ERROR: 0.5,
    Reason.SERVER_UNAVAILABLE: 0.5,
    Reason.SYSTEM_ERROR: 0.5,
    Reason.MAILER_ERROR: 0.5,
    Reason.EXPIRED: 0.5,
}
#: The reasons that may suppress for the whole domain's sake.
_DOMAIN_GONE = {Reason.DOMAIN_NOT_FOUND, Reason.DOMAIN_NULL_MX}
#: Complaints that ask for no more mail (RFC 5965 section 7.3, RFC 6430 section 3). not-spam and auth-failure do not.
_COMPLAINTS = {"abuse", "fraud", "virus", "opt-out", "opt-out-list"}
_PROVEN = {Trust.SIGNED, Trust.MATCHED}


class What(Enum):
    """What an event does."""

    NOTHING = auto()
    STRIKE = auto()
    SUPPRESS = auto()
    COMPLAINT = auto()
    SUCCESS = auto()


class Effect(NamedTuple):
    """``weight`` is that of a strike."""

    what: What
    weight: float = 0.0


_NOTHING = Effect(What.NOTHING)


def counts(mode: Mode, trust: Trust) -> bool:
    """Whether a report that is proven so far may change an address."""
    return mode is Mode.OPEN or (mode is Mode.STRICT and trust in _PROVEN)


def effect(happening: Happening, options: PolicyOptions) -> Effect:
    """What an event does to the address that it concerns, if it counts."""
    if happening.late or happening.mailing_list:
        return _NOTHING
    if happening.kind is Kind.DELIVERED:
        return Effect(What.SUCCESS)
    if happening.kind is Kind.COMPLAINT:
        return Effect(What.COMPLAINT) if happening.feedback_type in _COMPLAINTS else _NOTHING
    if happening.kind is not Kind.FAILED or happening.reason is None:
        return _NOTHING
    if happening.bounce_type not in {BounceType.HARD, BounceType.SOFT}:
        return _NOTHING
    if happening.scope not in {Scope.RECIPIENT, Scope.DOMAIN}:
        return _NOTHING
    hard = happening.bounce_type is BounceType.HARD
    about_it = happening.scope is Scope.RECIPIENT or happening.reason in _DOMAIN_GONE
    if hard and about_it and happening.confidence >= options.confidence:
        return Effect(What.SUPPRESS)
    weight = WEIGHTS.get(happening.reason, 0.0)
    return Effect(What.STRIKE, weight) if weight else _NOTHING


def becomes_hard(happening: Happening, options: PolicyOptions) -> bool:
    """Whether a trouble that lasted for all attempts at one message is taken for a hard failure."""
    return happening.scope is Scope.RECIPIENT and happening.confidence >= options.confidence
