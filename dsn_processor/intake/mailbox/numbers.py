"""Sets of numbers that name mails in one command, or in one row of what is still to be done (RFC 9051 sequence-set)."""

from collections.abc import Iterable, Sequence

from dsn_processor.record.entries import MailboxMail

#: Mails named in one command: 8,000 octets at most (RFC 7162 section 4).
CHUNK = 500


def set_of(numbers: Iterable[int]) -> str:
    """These numbers and no others, in order: 1:3,5."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(str(first) if first == last else f"{first}:{last}" for first, last in runs)


def in_sets(mails: Sequence[MailboxMail]) -> list[MailboxMail]:
    """Mails of which the same is to be done as one each, up to CHUNK of them."""
    alike: dict[MailboxMail, list[int]] = {}
    for mail in mails:
        alike.setdefault(mail._replace(uid=""), []).append(int(mail.uid))
    return [
        what._replace(uid=set_of(uids[start : start + CHUNK]))
        for what, uids in alike.items()
        for start in range(0, len(uids), CHUNK)
    ]
