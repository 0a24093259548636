"""Message disposition notifications (RFC 8098). One whose text says that the mail was refused reports a failure."""

import re

from dsn_processor.facts import RecipientReport
from dsn_processor.parse.addresses import is_address, original_address, typed_address
from dsn_processor.parse.fields import Fields
from dsn_processor.parse.mail import Mail
from dsn_processor.parse.replies import find_command, parse_reply
from dsn_processor.parse.words import RECEIPT_SUBJECTS, RECEIPT_TEXTS, SAYS_RECEIPT, contains
from dsn_processor.parse.writer import is_listed, untagged
from dsn_processor.patterns import pattern
from dsn_processor.terms import Action, Kind

_LIMIT = 100_000
_HEAD = 2_000  # characters of a text in which a receipt says what it is
# QUIRK: Dovecot's LDA and Sieve's "reject" (RFC 5429 section 2.2) refuse by an MDN with disposition "deleted".
_REFUSED = pattern(
    r"automatically rejected|was rejected|has been rejected|rejected for the following reason|could not be delivered|"
    r"refused by the recipient|is over quota|quota exceeded|mailbox is full|reason given was",
    re.IGNORECASE,
)


def is_plain_receipt(mail: Mail) -> bool:
    """QUIRK: Outlook, Notes and GroupWise also confirm in plain words: the subject and the text have to say it."""
    if not mail.titled & SAYS_RECEIPT or is_listed(mail):
        return False
    if not untagged(mail.subject).casefold().startswith(RECEIPT_SUBJECTS):
        return False
    return contains(mail.text[:_HEAD].casefold(), RECEIPT_TEXTS)


def read_disposition(mail: Mail) -> tuple[Kind, tuple[RecipientReport, ...], str | None]:
    """(failed or disposition, its recipient, Original-Message-ID) of a mail with a disposition part."""
    assert mail.disposition_part is not None
    fields = Fields(mail.disposition_part.body(_LIMIT).decode("latin-1").strip("\n"))
    disposition = (fields.raw("disposition") or "").lower()
    mode, _, kind = disposition.partition(";")
    refused = "automatic" in mode and "deleted" in kind and _REFUSED.search(mail.notice) is not None
    refused = refused or "rejected" in kind
    address = typed_address(fields.raw("final-recipient") or "")[1]
    original = fields.raw("original-recipient")
    original = original_address(original, frozenset({address.casefold()})) if original else None
    address = address if is_address(address) else original or ""
    if not address:
        return (Kind.FAILED if refused else Kind.DISPOSITION), (), fields.raw("original-message-id")
    if not refused:
        report = RecipientReport(address=address, original=original, action=None, origin="disposition")
        return Kind.DISPOSITION, (report,), fields.raw("original-message-id")
    reply = parse_reply(mail.notice)
    report = RecipientReport(
        address=address,
        original=original,
        action=Action.FAILED,
        status=reply.status,
        reply_code=reply.reply_code,
        explanation=reply.text[:2000],
        smtp_command=find_command(reply.text),
        origin="disposition",
    )
    return Kind.FAILED, (report,), fields.raw("original-message-id")
