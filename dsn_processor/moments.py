"""When something happened, by what a mail says of it."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

_CLOCKS_DIFFER = timedelta(days=1)
_OLDEST = datetime(1990, 1, 1, tzinfo=UTC)


def believable(dates: Iterable[str | None], received_at: datetime) -> datetime:
    """The first of these ISO 8601 dates that can be true, in UTC; else when we got the mail. A date to come, or of old, is
    not believed; one that is ahead because clocks differ is taken for when we got the mail.
    """
    for text in dates:
        if text is not None and (date := _instant(text)) and _OLDEST <= date <= received_at + _CLOCKS_DIFFER:
            return min(date, received_at)
    return received_at


def _instant(text: str) -> datetime | None:
    try:
        date = datetime.fromisoformat(text)
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
