"""What a mail holds that may tie it to one that we sent. Looked for in its bytes: a clue proves itself, wherever it stands."""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

from dsn_processor.canonical import bare_id, canonical_address, reference
from dsn_processor.correlate.dkim import returned_signature
from dsn_processor.correlate.options import Ours
from dsn_processor.correlate.token import Token, shaped, verify
from dsn_processor.correlate.wrapped import unwrapped, verp_addresses
from dsn_processor.facts import Envelope, ParsedMessage
from dsn_processor.patterns import pattern

_SEARCHED = 2**20  # bytes of a mail that are looked through
_HEAD = 16_384  # bytes of its header in which the return path stands, where there is no envelope
_RECIPIENTS = 20  # addresses of the envelope, and of headers, that are looked at
_TOKENS = 20  # of ours
_IDS = 5  # values of our header
_DELIVERED_TO = pattern(
    rb"\n(?:delivered-to|x-original-to|envelope-to|to)[ \t]*:([^\n]{1,1000})", re.IGNORECASE
)
_BETWEEN = pattern(r"[\s<>,;:\"()]+")
_LONGEST = 400  # characters of an address


class Clues(NamedTuple):
    """``signed`` are our tokens in the envelope's recipients, ``inside`` those elsewhere; ``false``: the envelope has one
    that nobody of us made. ``ids`` are message ids, in the order of their weight. ``verp`` and ``named`` are canonical
    addresses that the mail may have gone to: by its return path, and by what the report returns of it. ``dkim``: a header
    in it is signed by a key of ours.
    """

    signed: tuple[Token, ...] = ()
    inside: tuple[Token, ...] = ()
    false: bool = False
    message_id: str = ""
    envelope_id: str = ""
    header_ids: tuple[str, ...] = ()
    verp: tuple[str, ...] = ()
    named: tuple[str, ...] = ()
    dkim: bool = False

    def references(self) -> set[int]:
        """What to look up among the sends."""
        found = {token.message for token in (*self.signed, *self.inside)}
        found.update(map(reference, (self.message_id, self.envelope_id, *self.header_ids)))
        return found - {0}


def clues_of(raw: bytes, envelope: Envelope, parsed: ParsedMessage, ours: Ours) -> Clues:
    """Collect what one mail holds. Linear in its size, up to a bound."""
    recipients = envelope.recipients[:_RECIPIENTS]
    returned = parsed.returned_message
    written = shaped([address.encode(errors="replace") for address in recipients]) if ours.keys else []
    signed = _verified(written, ours)
    inside = _verified((one for one in shaped([raw]) if one not in written), ours) if ours.keys else ()
    paths = [*recipients, *_delivered_to(raw)]
    if returned is not None and returned.envelope_sender:
        paths.append(returned.envelope_sender)
    verp = [canonical_address(one) for path in dict.fromkeys(paths) for one in verp_addresses(path)]
    return Clues(
        signed=signed,
        inside=inside,
        false=len(signed) < len(written),
        message_id=bare_id(returned.message_id) if returned is not None else "",
        envelope_id=bare_id(parsed.original_envelope_id),
        header_ids=tuple(_values(raw, ours.header)),
        verp=tuple(dict.fromkeys(verp)),
        named=tuple(_named(returned.to)) if returned is not None and returned.to else (),
        dkim=bool(ours.dkim) and returned_signature(raw, ours.dkim) is not None,
    )


def _verified(texts: Iterable[str], ours: Ours) -> tuple[Token, ...]:
    tokens = (token for text in texts if (token := verify(ours.keys, text)) is not None)
    return tuple(islice(tokens, _TOKENS))


def _delivered_to(raw: bytes) -> Iterator[str]:
    """Whom the mail was to, by its own header: what the last MTA or mailbox kept of the envelope."""
    head = b"\n" + raw[:_HEAD].replace(b"\r\n", b"\n").partition(b"\n\n")[0]
    found = [
        address
        for value in _DELIVERED_TO.finditer(head)
        for address in _addresses(value[1].decode("utf-8", "replace"))
    ]
    yield from found[:_RECIPIENTS]


def _values(raw: bytes, header: str) -> Iterator[str]:
    """The values of our own header, in the returned message, most likely."""
    for number, value in enumerate(_field(header).finditer(raw, 0, _SEARCHED)):
        if number == _IDS:
            return
        if found := bare_id(value[1].decode("utf-8", "replace")):
            yield found


@lru_cache(maxsize=4)
def _field(name: str) -> re.Pattern[bytes]:
    """Begins with the line end, so that the search hops from line to line: a returned message does not come first."""
    return re.compile(rb"\n" + re.escape(name.encode()) + rb"[ \t]*:([^\r\n]{1,998})", re.IGNORECASE)


def _named(to: str) -> Iterator[str]:
    for address in islice(_addresses(to), _RECIPIENTS):
        yield canonical_address(unwrapped(address))


def _addresses(text: str) -> Iterator[str]:
    """Words that may be addresses, in one pass: what they are is for others to find out."""
    return (word for word in _BETWEEN.split(text) if "@" in word and len(word) <= _LONGEST)
