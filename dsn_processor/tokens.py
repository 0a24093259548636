"""For senders: make the return path of a mail, so that what comes back proves whom it was sent to.

    >>> from datetime import date
    >>> from dsn_processor.tokens import Key, return_path
    >>> key = Key.parse("1:correct-horse-battery-staple")
    >>> return_path(key, "user@example.net", domain="bounces.example.com", today=date(2026, 11, 21))
    'b-t1afiuqnoxmy3jd7443maaaaaaaaaaaaaah5mp6mnqad2sdki5@bounces.example.com'

The address goes into MAIL FROM. Wants nothing but the standard library, and some ten microseconds a mail.
"""

from datetime import UTC, date, datetime, timedelta

from dsn_processor.correlate import token
from dsn_processor.correlate.token import LENGTH, LOCAL_PART_LIMIT, VALID_DAYS, Key

__all__ = ["VALID_DAYS", "Key", "mint", "return_path"]


def mint(
    key: Key,
    recipient: str,
    *,
    message_id: str | None = None,
    stream: str | None = None,
    days: int = VALID_DAYS,
    today: date | None = None,
) -> str:
    """The token alone, for a header of your own, say. It counts for ``days`` after ``today`` (UTC). Raises ValueError."""
    if "@" not in recipient:
        raise ValueError(f"{recipient!r} is no address")
    if not 1 <= days <= 3_650:
        raise ValueError("days has to be a number from 1 to 3650")
    expires = (today or datetime.now(UTC).date()) + timedelta(days=days)
    return token.mint(key, recipient, expires=expires, message_id=message_id, stream=stream)


def return_path(
    key: Key,
    recipient: str,
    *,
    domain: str,
    prefix: str = "b-",
    message_id: str | None = None,
    stream: str | None = None,
    days: int = VALID_DAYS,
    today: date | None = None,
) -> str:
    """The address for MAIL FROM: ``prefix``, the token, and a ``domain`` whose mail gets to dsn-processor. A prefix ends in
    ``-``, ``+`` or the like, and has 14 characters at most. Raises ValueError.
    """
    if len(prefix) + LENGTH > LOCAL_PART_LIMIT:
        raise ValueError(f"{prefix!r} is too long: {LOCAL_PART_LIMIT - LENGTH} characters are left for it")
    if (
        prefix[-1:].isalnum()
        or not prefix.isascii()
        or not prefix.isprintable()
        or set(prefix) & set(' "@<>')
    ):
        raise ValueError(f"{prefix!r} is no prefix: write ASCII that ends in - or +, as in bounces+")
    words = mint(key, recipient, message_id=message_id, stream=stream, days=days, today=today)
    return f"{prefix}{words}@{domain}"
