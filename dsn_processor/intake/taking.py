"""What a listener asks of whoever stores mail. The server answers; listeners know nothing of databases."""

from typing import NamedTuple, Protocol

from dsn_processor.facts import InboundMessage
from dsn_processor.pipeline import Accepted


class Refusal(NamedTuple):
    """Why no mail can be taken now, for the sender to try later: an RFC 5321 reply code of 4xx, an RFC 3463 status,
    and words without secrets.
    """

    code: int
    status: str
    text: str


class Taking(Protocol):
    """Takes mail in."""

    async def take(self, message: InboundMessage) -> Accepted:
        """Make a mail ours. Returns when its bytes are on disk, or were before. To cancel the caller undoes nothing.

        Raises StoreFullError where there is no room for it, StoreError where it cannot be stored for another reason:
        the sender keeps it then.
        """

    def refusal(self) -> Refusal | None:
        """Why no mail can be taken now; None where all is well. Cheap: asked at each MAIL FROM."""
