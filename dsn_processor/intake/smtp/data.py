"""The way mail comes after DATA (RFC 5321 section 4.5.2): dots taken off and the end found, in pieces of any size."""

_END = b"\r\n.\r\n"
_BEGINNINGS = (b"\r\n.\r", b"\r\n.", b"\r\n", b"\r")


class DataDecoder:
    r"""Decodes the octets after 354 as they come. Only ``\r\n.\r\n`` ends a mail, and none of its likenesses with a bare
    CR or LF, which others read in other ways. All else is handed on as it is.

    ``rest`` is what came after the end, the next commands; None while there is no end.
    """

    __slots__ = ("_held", "_invented", "rest")

    def __init__(self) -> None:
        self._held = b"\r\n"  # as if a line had ended before: the first may begin with a dot, or be the end
        self._invented = 2
        self.rest: bytes | None = None

    def feed(self, chunk: bytes) -> bytes:
        """The text that is certain now: at most four octets are held back, so it is linear in the chunk."""
        text = self._held + chunk
        end = text.find(_END)
        if end >= 0:
            self.rest = text[end + 5 :]
            text = text[: end + 2]
        else:
            sure = len(text) - _unsure(text)
            self._held = text[sure:]
            text = text[:sure]
        if b"\r\n." in text:
            text = text.replace(b"\r\n.", b"\r\n")
        if self._invented and text:
            text = text[self._invented :]
            self._invented = 0
        return text


def _unsure(text: bytes) -> int:
    """How many octets at the end may begin the end of the mail."""
    if text and text[-1] not in b"\r\n.":
        return 0
    return next((len(beginning) for beginning in _BEGINNINGS if text.endswith(beginning)), 0)
