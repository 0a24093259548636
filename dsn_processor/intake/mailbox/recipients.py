"""Whom a mail in a mailbox was for: the server that put it there wrote that on top of it."""

from collections.abc import Sequence

from dsn_processor.facts import Envelope
from dsn_processor.parse.fields import HEADER_LIMIT, Fields

_MOST = 20


def envelope_of(raw: bytes, headers: Sequence[str]) -> Envelope:
    """The envelope recipients that the trace ``headers`` of a mail tell, each once, in the order of the headers' names.

    Only the mail's own header block is looked at: what a returned mail says further down are other people's recipients.
    Where a header stands several times all count, the topmost first: each server that passed the mail on wrote one, and any of
    them may be the one that saw the address we gave out.
    """
    head = raw[:HEADER_LIMIT].replace(b"\r\n", b"\n")
    fields = Fields(head.partition(b"\n\n")[0].decode("utf-8", "surrogateescape"))
    found = []
    for header in headers:
        for value in fields.all(header.lower()):
            address = value.strip().strip("<>").strip()
            if "@" in address and address.isprintable() and " " not in address:
                found.append(address)
    return Envelope(recipients=tuple(dict.fromkeys(found))[:_MOST])
