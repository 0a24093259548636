"""What other systems call our answers: the reasons, and the kinds that have none. Loaded only where it is asked for.

Their own documents give the names; where one of them has two for a reason, the first that its own examples use. A name
of theirs that follows the type (a hard reason on 4xx is soft here) is chosen by both.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

from dsn_processor.terms import REASONS, BounceType, Kind, Reason

# Amazon SES: the types of a bounce with their subtypes, and the types of a delay.
SES_BOUNCES = {
    "Undetermined": ("Undetermined",),
    "Permanent": ("General", "NoEmail", "Suppressed", "OnAccountSuppressionList"),
    "Transient": (
        "General",
        "MailboxFull",
        "MessageTooLarge",
        "ContentRejected",
        "AttachmentRejected",
    ),
}
SES_DELAYS = (
    "General",
    "InternalFailure",
    "IPFailure",
    "MailboxFull",
    "RecipientServerError",
    "SpamDetected",
    "TransientCommunicationFailure",
    "Undetermined",
)
SES_COMPLAINTS = ("abuse", "auth-failure", "fraud", "not-spam", "other", "virus")
# Postmark: a bounce's Type and TypeCode.
POSTMARK = {
    "HardBounce": 1,
    "Transient": 2,
    "AutoResponder": 64,
    "AddressChange": 128,
    "DnsError": 256,
    "SpamNotification": 512,
    "Unknown": 2048,
    "SoftBounce": 4096,
    "VirusNotification": 8192,
    "ChallengeVerification": 16384,
    "BadEmailAddress": 100000,
    "SpamComplaint": 100001,
    "ManuallyDeactivated": 100002,
    "Blocked": 100006,
    "SMTPApiError": 100007,
    "DMARCPolicy": 100009,
}
# SparkPost: bounce classification codes.
SPARKPOST = {
    1: "Undetermined",
    10: "Invalid Recipient",
    20: "Soft Bounce",
    21: "DNS Failure",
    22: "Mailbox Full",
    23: "Too Large",
    24: "Timeout",
    25: "Admin Failure",
    30: "Generic Bounce: No RCPT",
    40: "Generic Bounce",
    50: "Mail Block",
    51: "Spam Block",
    52: "Spam Content",
    53: "Prohibited Attachment",
    54: "Relaying Denied",
    60: "Auto-Reply",
    70: "Transient Failure",
    100: "Challenge-Response",
}


class Names(NamedTuple):
    """One reason elsewhere, where its type is the reason's own. ``ses`` is a subtype."""

    ses: str
    postmark: str
    sparkpost: int
    powermta: str
    kumomta: str | None
    sisimai: str


class KindNames(NamedTuple):
    """A kind that has no verdict elsewhere: the event, type and subtype of SES. None: they know no such thing."""

    ses: tuple[str, str | None, str | None] | None = None
    postmark: str | None = None
    sparkpost: int | None = None
    powermta: str | None = None
    kumomta: str | None = None
    sisimai: str | None = None


REASON_NAMES: dict[Reason, Names] = {
    Reason.USER_UNKNOWN: Names("NoEmail", "HardBounce", 10, "bad-mailbox", "InvalidRecipient", "userunknown"),
    Reason.MAILBOX_DISABLED: Names("General", "HardBounce", 10, "inactive-mailbox", "InactiveMailbox", "suspend"),
    Reason.MAILBOX_ABANDONED: Names(
        "General", "HardBounce", 10, "inactive-mailbox", "InactiveMailbox", "mailboxfull"
    ),
    Reason.MAILBOX_MOVED: Names("General", "AddressChange", 10, "bad-mailbox", "InactiveMailbox", "hasmoved"),
    Reason.RECIPIENT_SYNTAX: Names("General", "BadEmailAddress", 10, "bad-mailbox", "InvalidRecipient", "userunknown"),
    Reason.OWNER_CHANGED: Names("General", "HardBounce", 10, "bad-mailbox", "InvalidRecipient", "hasmoved"),
    Reason.RECIPIENT_REJECTED: Names("General", "HardBounce", 30, "other", "InvalidRecipient", "filtered"),
    Reason.SUPPRESSED_UPSTREAM: Names("Suppressed", "ManuallyDeactivated", 25, "other", None, "suppressed"),
    Reason.DOMAIN_NOT_FOUND: Names("General", "HardBounce", 10, "bad-domain", "BadDomain", "hostunknown"),
    Reason.DOMAIN_NULL_MX: Names("General", "HardBounce", 10, "bad-domain", "BadDomain", "notaccept"),
    Reason.MAILBOX_FULL: Names("MailboxFull", "SoftBounce", 22, "quota-issues", "QuotaIssues", "mailboxfull"),
    Reason.RECIPIENT_RATE_LIMITED: Names(
        "General", "SoftBounce", 70, "quota-issues", "TransientFailure", "speeding"
    ),
    Reason.MAILING_LIST: Names("General", "SoftBounce", 20, "other", "InvalidRecipient", "filtered"),
    Reason.RELAY_DENIED: Names("General", "SoftBounce", 54, "relaying-issues", "RelayDenied", "norelaying"),
    Reason.DNS_FAILURE: Names("General", "DnsError", 21, "routing-errors", "DNSFailure", "networkerror"),
    Reason.NETWORK_ERROR: Names("General", "SoftBounce", 20, "bad-connection", "BadConnection", "networkerror"),
    Reason.SERVER_UNAVAILABLE: Names(
        "General", "SoftBounce", 70, "no-answer-from-host", "TransientFailure", "systemerror"
    ),
    Reason.SYSTEM_ERROR: Names("General", "SoftBounce", 40, "bad-configuration", "BadConfiguration", "systemerror"),
    Reason.SYSTEM_FULL: Names("General", "SoftBounce", 70, "quota-issues", "QuotaIssues", "systemfull"),
    Reason.ROUTING_LOOP: Names("General", "SoftBounce", 20, "routing-errors", "RoutingErrors", "networkerror"),
    Reason.MAILER_ERROR: Names("General", "SoftBounce", 40, "other", "Uncategorized", "mailererror"),
    Reason.EXPIRED: Names("General", "SoftBounce", 24, "message-expired", "MessageExpired", "expired"),
    Reason.GREYLISTED: Names("General", "Transient", 70, "other", "TransientFailure", "blocked"),
    Reason.TOO_MANY_RECIPIENTS: Names(
        "General", "SoftBounce", 70, "policy-related", "TooManyRecipients", "toomanyconn"
    ),
    Reason.MESSAGE_TOO_LARGE: Names(
        "MessageTooLarge", "SoftBounce", 23, "content-related", "ContentRelated", "mesgtoobig"
    ),
    Reason.SPAM_CONTENT: Names("ContentRejected", "SpamNotification", 52, "spam-related", "SpamContent", "spamdetected"),
    Reason.VIRUS: Names("ContentRejected", "VirusNotification", 53, "virus-related", "VirusRelated", "virusdetected"),
    Reason.PROHIBITED_ATTACHMENT: Names(
        "AttachmentRejected", "Blocked", 53, "content-related", "ProhibitedAttachment", "policyviolation"
    ),
    Reason.CONTENT_FORMAT: Names("ContentRejected", "Blocked", 50, "content-related", "ProtocolErrors", "contenterror"),
    Reason.EAI_UNSUPPORTED: Names("General", "Blocked", 50, "protocol-errors", "ProtocolErrors", "contenterror"),
    Reason.IP_BLOCKLISTED: Names("General", "Blocked", 51, "spam-related", "SpamBlock", "blocked"),
    Reason.REPUTATION: Names("General", "Blocked", 51, "spam-related", "SpamBlock", "badreputation"),
    Reason.AUTH_FAILED: Names(
        "ContentRejected", "DMARCPolicy", 50, "policy-related", "AuthenticationFailed", "authfailure"
    ),
    Reason.PTR_MISSING: Names("General", "Blocked", 50, "policy-related", "AuthenticationFailed", "requireptr"),
    Reason.SENDER_REJECTED: Names("General", "Blocked", 50, "invalid-sender", "InvalidSender", "rejected"),
    Reason.RATE_LIMITED: Names("General", "Blocked", 50, "policy-related", "PolicyRelated", "speeding"),
    Reason.AUTH_REQUIRED: Names(
        "General", "SMTPApiError", 54, "relaying-issues", "AuthenticationFailed", "securityerror"
    ),
    Reason.PROTOCOL_ERROR: Names("Undetermined", "Unknown", 40, "protocol-errors", "ProtocolErrors", "syntaxerror"),
    Reason.RECIPIENT_RESTRICTED: Names("General", "Blocked", 50, "policy-related", "PolicyRelated", "rejected"),
    Reason.TRANSPORT_SECURITY: Names(
        "General", "Blocked", 50, "policy-related", "AuthenticationFailed", "securityerror"
    ),
    Reason.POLICY: Names("General", "Blocked", 50, "policy-related", "PolicyRelated", "policyviolation"),
    Reason.UNDETERMINED: Names("Undetermined", "Unknown", 1, "other", "Uncategorized", "undefined"),
}  # fmt: skip

# A delay has a type of its own at SES; these reasons have another than General.
_DELAYS = {
    Reason.MAILBOX_FULL: "MailboxFull",
    Reason.SPAM_CONTENT: "SpamDetected",
    Reason.IP_BLOCKLISTED: "IPFailure",
    Reason.REPUTATION: "IPFailure",
    Reason.NETWORK_ERROR: "TransientCommunicationFailure",
    Reason.DNS_FAILURE: "TransientCommunicationFailure",
    Reason.SERVER_UNAVAILABLE: "RecipientServerError",
    Reason.SYSTEM_ERROR: "RecipientServerError",
    Reason.SYSTEM_FULL: "RecipientServerError",
    Reason.UNDETERMINED: "Undetermined",
}
# What Postmark and SparkPost call a reason whose type is not its own: "user unknown" on a 4xx, say.
_BY_TYPE = {
    BounceType.HARD: ("HardBounce", 10),
    BounceType.SOFT: ("SoftBounce", 20),
    BounceType.BLOCK: ("Blocked", 50),
    BounceType.UNDETERMINED: ("Unknown", 1),
}
KIND_NAMES: dict[Kind, KindNames] = {
    Kind.FAILED: KindNames(("Bounce", "Undetermined", "Undetermined"), "Unknown", 1, "other", "Uncategorized", "undefined"),
    Kind.DELAYED: KindNames(("DeliveryDelay", "Undetermined", None), "Transient", 70, "other", "TransientFailure", "undefined"),
    Kind.EXPANDED: KindNames(("Delivery", None, None), sisimai="delivered"),
    Kind.RELAYED: KindNames(("Delivery", None, None), sisimai="delivered"),
    Kind.DELIVERED: KindNames(("Delivery", None, None), sisimai="delivered"),
    Kind.COMPLAINT: KindNames(("Complaint", None, None), "SpamComplaint", None, None, None, "feedback"),
    Kind.AUTO_REPLY: KindNames(("Bounce", "Transient", "General"), "AutoResponder", 60, None, None, "vacation"),
    Kind.DISPOSITION: KindNames(),
    Kind.CHALLENGE: KindNames(None, "ChallengeVerification", 100, None, None, None),
    Kind.NOT_A_REPORT: KindNames(),
    Kind.UNPARSED: KindNames(("Bounce", "Undetermined", "Undetermined"), "Unknown", 1, "other", "Uncategorized", "undefined"),
}  # fmt: skip


@cache  # there are a few hundred answers
def map_reason(reason: Reason, bounce_type: BounceType, kind: Kind = Kind.FAILED) -> Mapping[str, Any]:
    """The names of a verdict on a recipient that ``failed`` or is ``delayed``."""
    names = REASON_NAMES[reason]
    postmark, sparkpost = names.postmark, names.sparkpost
    if reason is Reason.RATE_LIMITED and bounce_type is BounceType.SOFT:
        postmark, sparkpost = "Transient", 70
    elif bounce_type is not REASONS[reason][0]:
        postmark, sparkpost = _BY_TYPE[bounce_type]
    if kind is Kind.DELAYED:
        ses: tuple[str, str | None, str | None] = ("DeliveryDelay", _DELAYS.get(reason, "General"), None)
        postmark, sparkpost = "Transient", 70
    else:
        ses = ("Bounce", *_ses(names.ses, bounce_type))
    found = KindNames(ses, postmark, sparkpost, names.powermta, names.kumomta, names.sisimai)
    return _described(found) | {"two_type": "hard" if bounce_type is BounceType.HARD else "soft"}


def map_kind(kind: Kind, feedback_type: str | None = None) -> Mapping[str, Any]:
    """The names of a mail, or of a recipient, that there is no verdict on. SES keeps a complaint's feedback type."""
    names = KIND_NAMES[kind]
    if kind is Kind.COMPLAINT:
        names = names._replace(
            ses=("Complaint", feedback_type if feedback_type in SES_COMPLAINTS else "other", None)
        )
    return _described(names) | {"two_type": None}


def _ses(subtype: str, bounce_type: BounceType) -> tuple[str, str]:
    """SES knows blocks as transient. A subtype that its type does not have becomes General."""
    if bounce_type is BounceType.UNDETERMINED or subtype == "Undetermined":
        return "Undetermined", "Undetermined"
    kind = "Permanent" if bounce_type is BounceType.HARD else "Transient"
    return kind, subtype if subtype in SES_BOUNCES[kind] else "General"


def _described(names: KindNames) -> dict[str, Any]:
    postmark, sparkpost = names.postmark, names.sparkpost
    return {
        "ses": names.ses and dict(zip(("event", "type", "subtype"), names.ses, strict=True)),
        "postmark": None if postmark is None else {"code": POSTMARK[postmark], "name": postmark},
        "sparkpost": None if sparkpost is None else {"code": sparkpost, "name": SPARKPOST[sparkpost]},
        "powermta": names.powermta,
        "kumomta": names.kumomta,
        "sisimai": names.sisimai,
    }
