"""What is known of one address: the rows that its state is folded from. Each has its time and a name that is its alone."""

from datetime import datetime
from typing import NamedTuple

from dsn_processor.terms import Act, BounceType, Kind, Mode, Reason, Scope, SuppressionKind, Trust


class Attempt(NamedTuple):
    """A report of a failure: when the attempt was made, and how far the report is proven."""

    at: datetime
    trust: Trust


class Happening(NamedTuple):
    """An event, of one mail and the address that it concerns. ``about`` names the message, the event's ``identity`` where it
    is not known. ``attempts`` are all reports of the same, where there are several.
    ``since`` is when the message came to the MTA that reports, ``message_id`` its id: for those who send it again.
    """

    identity: str
    at: datetime
    kind: Kind
    about: str
    mode: Mode
    trust: Trust
    late: bool = False
    mailing_list: bool = False
    bounce_type: BounceType | None = None
    reason: Reason | None = None
    scope: Scope | None = None
    confidence: float = 0.0
    remote_mta: str = ""
    feedback_type: str = ""
    attempts: tuple[Attempt, ...] = ()
    since: datetime | None = None
    message_id: str = ""


class Success(NamedTuple):
    """A message that was delivered."""

    identity: str
    at: datetime
    about: str


class ManualAct(NamedTuple):
    """What somebody did, and why. ``kind`` is None where it is about all kinds; ``until`` None is for good."""

    identity: str
    at: datetime
    act: Act
    author: str
    reason: str
    kind: SuppressionKind | None = None
    until: datetime | None = None


class Known(NamedTuple):
    """All that is known of an address."""

    address: str
    happenings: tuple[Happening, ...] = ()
    successes: tuple[Success, ...] = ()
    acts: tuple[ManualAct, ...] = ()
    capped: bool = False
