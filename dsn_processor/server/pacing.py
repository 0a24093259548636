"""While much mail comes in, its senders come first: an application waits better than they do, though not for long. Pure, but
for the clock.
"""

import time
from collections import deque
from collections.abc import Callable

_MANY_MAILS = 50  # within a second
_REST_SECONDS = 0.1  # after each attempt at a webhook
_PATIENCE_SECONDS = 10.0  # that what is to be told may wait for that


class Rush:
    """Whether much mail comes in, by the seconds of ``clock``."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: deque[float] = deque(maxlen=_MANY_MAILS)  # when these came

    def came(self) -> None:
        """A mail did."""
        self._last.append(self._clock())

    def is_on(self) -> bool:
        return len(self._last) == _MANY_MAILS and self._clock() - self._last[0] < 1.0


def rest_seconds(*, rush: bool, oldest_seconds: float) -> float:
    """For how long to rest after an attempt, where what waits longest does so for ``oldest_seconds``; 0 where there is no need."""
    return _REST_SECONDS if rush and oldest_seconds < _PATIENCE_SECONDS else 0.0
