"""What the way to us does to a mail without changing what it says: line ends, quoting, folding, gateways' additions.

Each function takes a mail with LF line ends and gives it reshaped, or None where there is nothing to reshape.
"""

import base64
import quopri
import random
import re
from collections.abc import Callable

from dsn_processor.parse.mail import Mail
from dsn_processor.parse.mime import Part

Reshape = Callable[[bytes, random.Random], bytes | None]

DISCLAIMER = b"\n________________________________\nThis e-mail and any attachments are confidential and meant for the addressee alone. If you got it by mistake, please delete it and tell the sender.\n"
_STATUS_TYPE = re.compile(rb"(?im)^(Content-Type:[ \t]*)(message/(?:global-)?delivery-status)\b")
_LABEL = re.compile(rb"(?m)^([A-Za-z-]+):")
_CLOSING = re.compile(rb"\n--[^\n]+--[ \t]*\n*\Z")


def split(raw: bytes) -> tuple[bytes, bytes]:
    """Header block with its last line end, and the rest from the empty line on."""
    head, blank, body = raw.partition(b"\n\n")
    return head + b"\n", b"\n" + body if blank else b""


def fields(head: bytes) -> list[bytes]:
    """The fields of a header block, folded lines with them."""
    return re.findall(rb"[^\n]*\n(?:[ \t][^\n]*\n)*", head)


def mixed_ends(raw: bytes, rng: random.Random) -> bytes:
    return b"".join(line + rng.choice((b"\n", b"\r\n")) for line in raw.split(b"\n"))


def shuffled(raw: bytes, rng: random.Random) -> bytes:
    head, body = split(raw)
    pieces = fields(head)
    if pieces[0].startswith((b"From ", b">From ")):
        return b"".join([pieces[0], *rng.sample(pieces[1:], len(pieces) - 1), body])
    return b"".join([*rng.sample(pieces, len(pieces)), body])


def names(change: Callable[[bytes], bytes]) -> Reshape:
    """Field names rewritten in the root's and the parts' headers and in the status fields."""

    def reshape(raw: bytes, _: random.Random) -> bytes:
        head, body = split(raw)
        head = _LABEL.sub(lambda m: change(m[1]) + b":", head)
        known = rb"(?m)^(Content-[A-Za-z-]+|(?:Final|Original)-Recipient|Action|Status|Diagnostic-Code|Remote-MTA|Reporting-MTA|Arrival-Date):"
        return head + re.sub(known, lambda m: change(m[1]) + b":", body)

    return reshape


def refolded(raw: bytes, _: random.Random) -> bytes:
    """Each field of the root folded at every second space; values are the same (RFC 5322 section 2.2.3)."""
    head, body = split(raw)
    out = []
    for field in fields(head):
        name, colon, value = field.partition(b":")
        words = value.split()
        lines = [b" ".join(words[at : at + 2]) for at in range(0, len(words), 2)]
        quoted = b'"' in value and b'" ' in value
        out.append(
            field if not colon or quoted or b" " in name else name + b": " + b"\n ".join(lines) + b"\n"
        )
    return b"".join(out) + body


def status_refolded(raw: bytes, _: random.Random) -> bytes | None:
    """Long Diagnostic-Codes folded elsewhere."""
    changed = re.sub(rb"(?im)^(Diagnostic-Code:[^\n]{30,60}?) ([^\n]+)\n(?![ \t])", rb"\1\n\t\2\n", raw)
    return changed if changed != raw else None


def in_body(pattern: bytes, new: bytes) -> Reshape:
    def reshape(raw: bytes, _: random.Random) -> bytes | None:
        head, body = split(raw)
        changed = re.sub(pattern, new, body)
        return head + changed if changed != body else None

    return reshape


def in_head(pattern: bytes, new: bytes) -> Reshape:
    def reshape(raw: bytes, _: random.Random) -> bytes | None:
        head, body = split(raw)
        changed = re.sub(pattern, new, head)
        return changed + body if changed != head else None

    return reshape


def in_front(piece: bytes) -> Reshape:
    return lambda raw, _: piece + raw


def simple_parts(raw: bytes, wanted: str) -> list[Part]:
    parts = [part for part in Mail(raw).parts if not part.children and part.content_type.startswith(wanted)]
    return [part for part in parts if "content-transfer-encoding" not in part.head.lower()]


def replace_part(raw: bytes, part: Part, head: bytes, body: bytes) -> bytes:
    begin = part.start - 1 - len(part.head)
    if raw[begin : part.start - 1] != part.head.encode("latin-1"):
        return raw
    return raw[:begin] + head + b"\n" + body + raw[part.end :]


def encoded(wanted: str, name: bytes, encode: Callable[[bytes], bytes]) -> Reshape:
    """Leaf parts of a type in a transfer encoding."""

    def reshape(raw: bytes, _: random.Random) -> bytes | None:
        changed = raw
        for part in reversed(simple_parts(raw, wanted)):
            head = part.head.encode("latin-1") + b"Content-Transfer-Encoding: " + name + b"\n"
            if part.head and not part.head.endswith("\n"):
                continue
            changed = replace_part(changed, part, head, encode(raw[part.start : part.end]))
        return changed if changed != raw else None

    return reshape


def status_type(new: bytes) -> Reshape:
    return lambda raw, _: _STATUS_TYPE.sub(rb"\1" + new, raw) if _STATUS_TYPE.search(raw) else None


def status_charset(charset: str) -> Reshape:
    """The delivery-status in another charset, as gateways that convert every part leave it."""

    def reshape(raw: bytes, _: random.Random) -> bytes | None:
        parts = simple_parts(raw, "message/delivery-status")
        if not parts:
            return None
        part = parts[-1]
        data = raw[part.start : part.end].decode("latin-1").encode(charset, "replace")
        head = _STATUS_TYPE.sub(rb"\1\2; charset=" + charset.encode(), part.head.encode("latin-1"))
        head += b"Content-Transfer-Encoding: base64\n"
        return replace_part(raw, part, head, base64.encodebytes(data))

    return reshape


def disclaimer_in_texts(raw: bytes, _: random.Random) -> bytes | None:
    changed = raw
    for part in reversed(simple_parts(raw, "text/plain")):
        changed = changed[: part.end] + DISCLAIMER + changed[part.end :]
    return changed if changed != raw else None


def wrapped(footer: bytes) -> Reshape:
    """The whole report as message/rfc822 in a gateway's own multipart/mixed, which keeps who wrote it and what about."""

    def reshape(raw: bytes, _: random.Random) -> bytes | None:
        if not re.search(rb"(?im)^content-type:[ \t]*multipart/report", split(raw)[0]):
            return None
        raw = re.sub(rb"\A>?From [^\n]*\n", b"", raw)
        kept = [
            field for field in fields(split(raw)[0]) if not field.lower().startswith((b"content-", b"mime-"))
        ]
        start = b'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="gateway-1"\n\n--gateway-1\nContent-Type: message/rfc822\n\n'
        return b"".join(kept) + start + raw + b"\n--gateway-1\n" + footer + b"--gateway-1--\n"

    return reshape


def boundary_as(form: bytes) -> Reshape:
    """The root's boundary parameter spelt otherwise."""

    def reshape(raw: bytes, _: random.Random) -> bytes | None:
        head, body = split(raw)
        match = re.search(rb'(?i)boundary="([^"\s;=?:()/,@<>\'\\]+)"', head)
        return head.replace(match[0], form % match[1]) + body if match else None

    return reshape


def no_closing(raw: bytes, _: random.Random) -> bytes | None:
    return _CLOSING.sub(b"\n", raw) if _CLOSING.search(raw) else None


def no_blank_after_part_head(raw: bytes, _: random.Random) -> bytes | None:
    """The status part's fields follow its header at once."""
    changed = re.sub(
        rb"(?im)^(Content-Type:[ \t]*message/(?:global-)?delivery-status[^\n]*\n(?:[A-Za-z \t][^\n]*\n)*)\n",
        rb"\1",
        raw,
    )
    return changed if changed != raw else None


def no_blank_between_groups(raw: bytes, _: random.Random) -> bytes | None:
    changed = re.sub(rb"(?im)\n\n((?:Original|Final)-Recipient:)", rb"\n\1", raw)
    return changed if changed != raw else None


def twice(name: bytes) -> Reshape:
    """A field of the root written twice, one after the other."""

    def reshape(raw: bytes, _: random.Random) -> bytes | None:
        head, body = split(raw)
        pieces = [piece * 2 if piece.lower().startswith(name) else piece for piece in fields(head)]
        return b"".join(pieces) + body if b"".join(pieces) != head else None

    return reshape


#: Copies that must give the very same answers.
SAME: dict[str, Reshape] = {
    "crlf": lambda raw, _: raw.replace(b"\n", b"\r\n"),
    "cr_only": lambda raw, _: raw.replace(b"\n", b"\r"),
    "cr_cr_lf": lambda raw, _: raw.replace(b"\n", b"\r\r\n"),
    "mixed_ends": mixed_ends,
    "mbox_line": in_front(b"From MAILER-DAEMON Sat Nov 21 06:23:49 2026\n"),
    "mbox_quoted": lambda raw, _: b"From MAILER-DAEMON Sat Nov 21 06:23:49 2026\n" + re.sub(rb"(?m)^(>*From )", rb">\1", raw),
    "mbox_quoted_line": in_front(b">From MAILER-DAEMON Sat Nov 21 06:23:49 2026\n"),
    "dot_stuffed": lambda raw, _: re.sub(rb"(?m)^\.", b"..", raw),
    "dot_ended": lambda raw, _: re.sub(rb"(?m)^\.", b"..", raw) + b"\n.\n",
}  # fmt: skip

#: Copies that say the same, and should be understood alike.
ALIKE: dict[str, Reshape] = {
    "fields_shuffled": shuffled,
    "names_lower": names(bytes.lower),
    "names_upper": names(bytes.upper),
    "refolded": refolded,
    "status_refolded": status_refolded,
    "trailing_spaces": lambda raw, _: raw.replace(b"\n", b" \n").replace(b"\n \n", b"\n\n"),
    "trailing_all": in_body(rb"\n", b"  \n"),
    "tabs_for_spaces": in_body(rb"(?<=\S) +(?=\S)", b"\t"),
    "bom": in_front(b"\xef\xbb\xbf"),
    "blank_lines_in_front": in_front(b"\n\n"),
    "spaces_in_front": in_front(b"  \n"),
    "junk_in_front": in_front(b"\xe9\xff\x80 junk\n"),
    "blank_lines_doubled": in_body(rb"\n\n", b"\n\n\n"),
    "blank_lines_at_end": lambda raw, _: raw + b"\n" * 20,
    "subject_spam": in_head(rb"(?im)^Subject:[ \t]*", b"Subject: [SPAM] "),
    "subject_external": in_head(rb"(?im)^Subject:[ \t]*", b"Subject: [EXTERNAL] "),
    "subject_stars": in_head(rb"(?im)^Subject:[ \t]*", b"Subject: *** SPAM *** "),
    "spam_fields": in_front(b"X-Spam-Flag: YES\nX-Spam-Status: Yes, score=9.9 required=5.0\n\ttests=BAYES_99,ANY_BOUNCE_MESSAGE\n"),
    "no_mime_version": in_head(rb"(?im)^MIME-Version:[^\n]*\n", b""),
    "boundary_bare": boundary_as(b"boundary=%s"),
    "boundary_spaced": boundary_as(b'boundary = "%s"'),
    "boundary_single": boundary_as(b"boundary='%s'"),
    "boundary_open": boundary_as(b'boundary="%s'),
    "boundary_trailing": boundary_as(b'boundary="%s ";'),
    "no_boundary": boundary_as(b"x=%s"),
    "no_type": in_head(rb"(?im)^Content-Type:[^\n]*\n(?:[ \t][^\n]*\n)*", b""),
    "mixed_type": in_head(rb"(?i)multipart/report;\s*report-type=\"?delivery-status\"?", b"multipart/mixed"),
    "type_twice": twice(b"content-type:"),
    "no_closing": no_closing,
    "no_blank_after_part_head": no_blank_after_part_head,
    "no_blank_between_groups": no_blank_between_groups,
    "status_as_text": status_type(b"text/plain"),
    "status_as_stream": status_type(b"application/octet-stream"),
    "status_named": status_type(rb'application/octet-stream; name="details.txt"'),
    "status_utf_16": status_charset("utf-16"),
    "status_utf_16le": status_charset("utf-16le"),
    "status_iso_2022_jp": status_charset("iso-2022-jp"),
    "status_base64": encoded("message/delivery-status", b"base64", base64.encodebytes),
    "status_quoted": encoded("message/delivery-status", b"quoted-printable", quopri.encodestring),
    "text_base64": encoded("text/", b"base64", base64.encodebytes),
    "text_quoted": encoded("text/", b"quoted-printable", quopri.encodestring),
    "disclaimer_at_end": lambda raw, _: raw + DISCLAIMER,
    "disclaimer_in_texts": disclaimer_in_texts,
    "wrapped": wrapped(b""),
    "wrapped_with_footer": wrapped(b"Content-Type: text/plain\n\n" + DISCLAIMER),
}  # fmt: skip
