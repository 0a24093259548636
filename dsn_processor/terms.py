"""The words the program answers with: RFC terms and the project's fixed vocabulary (docs/glossary.md)."""

import enum
from typing import Self


class StrEnum(enum.StrEnum):
    """A word that is pickled as what it says, by every Python: 3.11.0 to 3.11.3 pickle a look-up."""

    def __reduce_ex__(self, protocol: object) -> tuple[type[Self], tuple[str]]:
        return type(self), (self.value,)


class Kind(StrEnum):
    """What a whole mail is. If its recipients differ, the strongest of them: see ``STRENGTH``."""

    FAILED = "failed"
    DELAYED = "delayed"
    EXPANDED = "expanded"
    RELAYED = "relayed"
    DELIVERED = "delivered"
    COMPLAINT = "complaint"
    AUTO_REPLY = "auto_reply"
    DISPOSITION = "disposition"
    CHALLENGE = "challenge"
    NOT_A_REPORT = "not_a_report"
    UNPARSED = "unparsed"


class Mode(StrEnum):
    """What reports may change: an address where they are proven, an address in any case, or nothing."""

    STRICT = "strict"
    OPEN = "open"
    OBSERVE = "observe"


class Advice(StrEnum):
    """What to do about a failure."""

    VERIFY_OR_REMOVE = "verify_or_remove"
    RESEND_MANUALLY = "resend_manually"
    WAIT_AND_RETRY = "wait_and_retry"
    FIX_CONTENT = "fix_content"
    FIX_AUTHENTICATION = "fix_authentication"
    REQUEST_DELISTING = "request_delisting"
    SLOW_DOWN = "slow_down"
    CONTACT_RECIPIENT_ADMIN = "contact_recipient_admin"
    NONE = "none"


class SuppressionKind(StrEnum):
    """Why an address gets no mail."""

    BOUNCE = "bounce"
    COMPLAINT = "complaint"
    MANUAL = "manual"
    UNSUBSCRIBE = "unsubscribe"


class Standing(StrEnum):
    """Whether a suppression keeps mail back: only where it is active."""

    ACTIVE = "active"
    PROPOSED = "proposed"
    HELD = "held"
    EXPIRED = "expired"


class Deliverability(StrEnum):
    """What bounces say of an address. Whether somebody wants mail is another matter."""

    OK = "ok"
    AT_RISK = "at_risk"
    UNDELIVERABLE = "undeliverable"


class Action(StrEnum):
    """What became of one recipient (RFC 3464 section 2.3.3)."""

    FAILED = "failed"
    DELAYED = "delayed"
    EXPANDED = "expanded"
    RELAYED = "relayed"
    DELIVERED = "delivered"


#: Strongest first: the action that names the kind of a mail with several recipients.
STRENGTH = (Action.FAILED, Action.DELAYED, Action.EXPANDED, Action.RELAYED, Action.DELIVERED)


class BounceType(StrEnum):
    """The cause, not the attempt: a dead address, a passing trouble, a refusal of the sender, or unknown."""

    HARD = "hard"
    SOFT = "soft"
    BLOCK = "block"
    UNDETERMINED = "undetermined"


class Scope(StrEnum):
    """What a failure is about. Only ``RECIPIENT`` and ``DOMAIN`` may ever count against an address."""

    RECIPIENT = "recipient"
    DOMAIN = "domain"
    SENDER = "sender"
    MESSAGE = "message"
    INFRASTRUCTURE = "infrastructure"
    UNKNOWN = "unknown"


class Trust(StrEnum):
    """How far a report is proven to answer a mail that was really sent. Strongest first."""

    SIGNED = "signed"
    MATCHED = "matched"
    PLAUSIBLE = "plausible"
    UNPROVED = "unproved"


class Match(StrEnum):
    """What a report was tied to a mail of ours by. Strongest first."""

    TOKEN = "token"  # noqa: S105  no password
    TOKEN_INSIDE = "token_inside"  # noqa: S105
    MESSAGE_ID = "message_id"
    ENVELOPE_ID = "envelope_id"
    HEADER = "header"
    DKIM = "dkim"
    VERP = "verp"


class Finding(StrEnum):
    """What was noticed when a report was held against what we sent."""

    LATE = "late"
    FORWARDED = "forwarded"
    MAILING_LIST = "mailing_list"
    SHARED_MESSAGE = "shared_message"
    OTHER_RECIPIENT = "other_recipient"
    FALSE_TOKEN = "false_token"  # noqa: S105
    NEVER_MAILED = "never_mailed"


class Act(StrEnum):
    """What a person does to an address, or to the addresses of a wave."""

    ADD = "add"
    REMOVE = "remove"
    ACCEPT = "accept"
    REJECT = "reject"


class MessageState(StrEnum):
    """Where a stored mail is on its way (docs/flow.md)."""

    RECEIVED = "received"
    PROCESSED = "processed"
    QUARANTINED = "quarantined"


class MailboxTask(StrEnum):
    """What is to be done about a mail in a mailbox."""

    FETCH = "fetch"  # to get it: that failed so far
    FILE = "file"  # to flag, move or delete it: it is stored
    REMEMBER = "remember"  # nothing: it was read


class Reason(StrEnum):
    """Why a recipient failed. Type and scope of each: ``REASONS``."""

    USER_UNKNOWN = "user_unknown"
    MAILBOX_DISABLED = "mailbox_disabled"
    MAILBOX_ABANDONED = "mailbox_abandoned"
    MAILBOX_MOVED = "mailbox_moved"
    RECIPIENT_SYNTAX = "recipient_syntax"
    OWNER_CHANGED = "owner_changed"
    RECIPIENT_REJECTED = "recipient_rejected"
    SUPPRESSED_UPSTREAM = "suppressed_upstream"
    DOMAIN_NOT_FOUND = "domain_not_found"
    DOMAIN_NULL_MX = "domain_null_mx"
    MAILBOX_FULL = "mailbox_full"
    RECIPIENT_RATE_LIMITED = "recipient_rate_limited"
    MAILING_LIST = "mailing_list"
    RELAY_DENIED = "relay_denied"
    DNS_FAILURE = "dns_failure"
    NETWORK_ERROR = "network_error"
    SERVER_UNAVAILABLE = "server_unavailable"
    SYSTEM_ERROR = "system_error"
    SYSTEM_FULL = "system_full"
    ROUTING_LOOP = "routing_loop"
    MAILER_ERROR = "mailer_error"
    EXPIRED = "expired"
    GREYLISTED = "greylisted"
    TOO_MANY_RECIPIENTS = "too_many_recipients"
    MESSAGE_TOO_LARGE = "message_too_large"
    SPAM_CONTENT = "spam_content"
    VIRUS = "virus"
    PROHIBITED_ATTACHMENT = "prohibited_attachment"
    CONTENT_FORMAT = "content_format"
    EAI_UNSUPPORTED = "eai_unsupported"
    IP_BLOCKLISTED = "ip_blocklisted"
    REPUTATION = "reputation"
    AUTH_FAILED = "auth_failed"
    PTR_MISSING = "ptr_missing"
    SENDER_REJECTED = "sender_rejected"
    RATE_LIMITED = "rate_limited"
    AUTH_REQUIRED = "auth_required"
    PROTOCOL_ERROR = "protocol_error"
    RECIPIENT_RESTRICTED = "recipient_restricted"
    TRANSPORT_SECURITY = "transport_security"
    POLICY = "policy"
    UNDETERMINED = "undetermined"


_H, _S, _B, _U = BounceType.HARD, BounceType.SOFT, BounceType.BLOCK, BounceType.UNDETERMINED

#: Reason -> (its bounce type on a permanent failure, its scope). On a 4xx alone a hard reason is soft and a
#: block stays a block, except rate_limited, which is soft.
REASONS: dict[Reason, tuple[BounceType, Scope]] = {
    Reason.USER_UNKNOWN: (_H, Scope.RECIPIENT),
    Reason.MAILBOX_DISABLED: (_H, Scope.RECIPIENT),
    Reason.MAILBOX_ABANDONED: (_H, Scope.RECIPIENT),
    Reason.MAILBOX_MOVED: (_H, Scope.RECIPIENT),
    Reason.RECIPIENT_SYNTAX: (_H, Scope.RECIPIENT),
    Reason.OWNER_CHANGED: (_H, Scope.RECIPIENT),
    Reason.RECIPIENT_REJECTED: (_H, Scope.RECIPIENT),
    Reason.SUPPRESSED_UPSTREAM: (_H, Scope.RECIPIENT),
    Reason.DOMAIN_NOT_FOUND: (_H, Scope.DOMAIN),
    Reason.DOMAIN_NULL_MX: (_H, Scope.DOMAIN),
    Reason.MAILBOX_FULL: (_S, Scope.RECIPIENT),
    Reason.RECIPIENT_RATE_LIMITED: (_S, Scope.RECIPIENT),
    Reason.MAILING_LIST: (_S, Scope.RECIPIENT),
    Reason.RELAY_DENIED: (_S, Scope.DOMAIN),
    Reason.DNS_FAILURE: (_S, Scope.DOMAIN),
    Reason.NETWORK_ERROR: (_S, Scope.INFRASTRUCTURE),
    Reason.SERVER_UNAVAILABLE: (_S, Scope.INFRASTRUCTURE),
    Reason.SYSTEM_ERROR: (_S, Scope.INFRASTRUCTURE),
    Reason.SYSTEM_FULL: (_S, Scope.INFRASTRUCTURE),
    Reason.ROUTING_LOOP: (_S, Scope.INFRASTRUCTURE),
    Reason.MAILER_ERROR: (_S, Scope.INFRASTRUCTURE),
    Reason.EXPIRED: (_S, Scope.UNKNOWN),
    Reason.GREYLISTED: (_S, Scope.SENDER),
    Reason.TOO_MANY_RECIPIENTS: (_S, Scope.SENDER),
    Reason.MESSAGE_TOO_LARGE: (_S, Scope.MESSAGE),
    Reason.SPAM_CONTENT: (_B, Scope.MESSAGE),
    Reason.VIRUS: (_B, Scope.MESSAGE),
    Reason.PROHIBITED_ATTACHMENT: (_B, Scope.MESSAGE),
    Reason.CONTENT_FORMAT: (_B, Scope.MESSAGE),
    Reason.EAI_UNSUPPORTED: (_B, Scope.MESSAGE),
    Reason.IP_BLOCKLISTED: (_B, Scope.SENDER),
    Reason.REPUTATION: (_B, Scope.SENDER),
    Reason.AUTH_FAILED: (_B, Scope.SENDER),
    Reason.PTR_MISSING: (_B, Scope.SENDER),
    Reason.SENDER_REJECTED: (_B, Scope.SENDER),
    Reason.RATE_LIMITED: (_B, Scope.SENDER),
    Reason.AUTH_REQUIRED: (_B, Scope.SENDER),
    Reason.PROTOCOL_ERROR: (_B, Scope.SENDER),
    Reason.RECIPIENT_RESTRICTED: (_B, Scope.RECIPIENT),
    Reason.TRANSPORT_SECURITY: (_B, Scope.INFRASTRUCTURE),
    Reason.POLICY: (_B, Scope.UNKNOWN),
    Reason.UNDETERMINED: (_U, Scope.UNKNOWN),
}
