"""Who a mail and an event are, whatever way they came: the keys that make everything idempotent.

A mail met as a file, in an mbox, over SMTP and over IMAP is the same mail. What differs is what the way added: line
endings, mbox quoting, trace headers on top, and the flags that mail stores keep in the header.
"""

import re
from hashlib import sha256

from dsn_processor.patterns import pattern

# Names are matched after "\n", so that the scan hops from line to line; possessive, so that it never goes back. What is
# repeated looks ahead first: Python before 3.11.5 does not step back where a possessive repetition fails half way.
_FOLDED = rb"[ \t]*+:[^\n]*+(?:(?=\n[ \t])\n[^\n]*+)*+"
_TRACE = pattern(
    rb"\n(?:return-path|received|received-spf|x-received|delivered-to|x-delivered-to|x-original-to|x-real-to"
    rb"|x-apparently-to|envelope-to|delivery-date|authentication-results|x-authentication-results|x-sieve"
    rb"|(?:arc|x-envelope|x-spam|x-spamd|x-rspamd|x-virus|x-gm|x-forwarded)-[^:\s]*+)" + _FOLDED,
    re.IGNORECASE,
)
_FLAGS = pattern(
    # Most lines begin with none of these letters: the names are not tried one by one there.
    rb"\n(?=[clsx])(?:status|content-length|lines"
    rb"|x-(?:status|uidl?|keywords|imap(?:base)?|evolution|mozilla-(?:status2?|keys)))" + _FOLDED,
    re.IGNORECASE,
)
_QUOTED_FROM = pattern(rb"\n>++From ")


def identity(raw: bytes) -> str:
    """The mail's identity, 64 hexadecimal digits: the hash of what its author wrote. Linear in its size."""
    text = raw
    if b"\r" in text:
        text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    text = b"\n" + text
    if b"\n>" in text and b">From " in text:
        text = _QUOTED_FROM.sub(b"\nFrom ", text)
    if text.startswith(b"\nFrom "):  # the line an mbox puts between mails
        end = text.find(b"\n", 1)
        text = b"" if end < 0 else text[end:]
    start = 0
    while trace := _TRACE.match(text, start):
        start = trace.end()
    text = text[start:].rstrip(b"\n")
    end = text.find(b"\n\n")
    digest = sha256(_FLAGS.sub(b"", text if end < 0 else text[:end]).rstrip(b"\n"))
    if end >= 0:
        digest.update(memoryview(text)[end:])  # no copy of what may be large
    return digest.hexdigest()


def event_identity(
    *,
    mail: str,
    returned_message_id: str | None,
    recipient: str,
    kind: str,
    status: str | None,
    token: str | None = None,
) -> str:
    """The identity of one recipient's event, 64 hexadecimal digits.

    Two reports about one sent message that say the same of one recipient are one event, however often they come.
    Without the returned Message-ID a return-path token of ours stands in, and without one the mail's own identity.
    ``recipient`` is a canonical address.
    """
    sent = (returned_message_id or "").strip().strip("<>").strip()
    about = f"message-id:{sent}" if sent else f"token:{token}" if token else f"mail:{mail}"
    words = "\0".join((about, recipient, kind, status or ""))
    return sha256(words.encode(errors="surrogatepass")).hexdigest()
