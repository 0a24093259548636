"""Families of hostile mail: each makes a mail of about ``size`` bytes that hurts a careless parser."""

from collections.abc import Callable

HEAD = b"From: MAILER-DAEMON@example.net\nTo: a@example.com\nSubject: Undelivered Mail Returned to Sender\nReturn-Path: <>\n"
REPORT = (
    HEAD
    + b'MIME-Version: 1.0\nContent-Type: multipart/report; report-type=delivery-status; boundary="b"\n\n--b\n\nThe mail failed.\n\n'
)
STATUS = REPORT + b"--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example.net\n\n"


def _fill(piece: bytes, size: int) -> bytes:
    return (piece * (size // len(piece) + 1))[:size]


def _nested(size: int) -> bytes:
    parts = [b'Content-Type: multipart/mixed; boundary="x%d"\n\n--x%d\n' % (n, n) for n in range(size // 80)]
    return HEAD + b"".join(parts)


FAMILIES: dict[str, Callable[[int], bytes]] = {
    "one_line": lambda n: HEAD + b"\n" + b"a" * n,
    "blank_lines": lambda n: HEAD + b"\n" + b"\n" * n,
    "two_byte_lines": lambda n: HEAD + b"\n" + _fill(b"a\n", n),
    "carriage_returns": lambda n: (HEAD + b"\n").replace(b"\n", b"\r") + b"\r" * n,
    "angle_brackets": lambda n: HEAD + b"\n" + _fill(b"<" * 990 + b"\n", n),
    "angle_one_line": lambda n: HEAD + b"\n" + b"<" * n,
    "at_signs": lambda n: HEAD + b"\n" + _fill(b"a@" * 490 + b"\n", n),
    "addresses": lambda n: HEAD + b"\nThe following addresses failed:\n" + _fill(b"<user@example.net>:\n550 5.1.1 no such user\n\n", n),
    "address_run": lambda n: HEAD + b"\n" + _fill(b"a.a.a.a.a-" * 90 + b"\n", n),
    "commas": lambda n: HEAD + b"\n" + _fill(b", " * 490 + b"\n", n),
    "colons": lambda n: HEAD + b"\n" + _fill(b"a:" * 490 + b"\n", n),
    "codes": lambda n: HEAD + b"\n" + _fill(b"550 5.1.1 ", n),
    "code_lines": lambda n: HEAD + b"\n" + _fill(b"550-5.1.1 no\n", n),
    "dashes": lambda n: HEAD + b"\n" + _fill(b"-- \n-----\n", n),
    "dots": lambda n: HEAD + b"\n" + _fill(b"5.1.1.1." * 120 + b"\n", n),
    "quotes": lambda n: HEAD + b"\n" + _fill(b'"' * 990 + b"\n", n),
    "separators": lambda n: HEAD + b"\n" + _fill(b"--- This is a copy of the message x\n", n),
    "html_open": lambda n: HEAD + b"Content-Type: text/html\n\n" + b"<" * n,
    "html_styles": lambda n: HEAD + b"Content-Type: text/html\n\n" + _fill(b"<style>", n),
    "html_tags": lambda n: HEAD + b"Content-Type: text/html\n\n" + _fill(b"<br><p a='", n),
    "html_entities": lambda n: HEAD + b"Content-Type: text/html\n\n" + _fill(b"&#", n // 2) + b"9" * (n // 2) + b";",
    "header_line": lambda n: HEAD + b"X-Long: " + b"a" * n + b"\n\nx\n",
    "header_fields": lambda n: HEAD + _fill(b"X: y\n", n) + b"\nx\n",
    "header_folds": lambda n: HEAD + b"X: a\n" + _fill(b" b\n", n) + b"\nx\n",
    "header_junk": lambda n: HEAD + _fill(b"junk without colon\n", n) + b"\nx\n",
    "encoded_words": lambda n: HEAD.replace(b"Undelivered", _fill(b"=?utf-8?Q?=C3?= ", n)) + b"\nx\n",
    "encoded_open": lambda n: HEAD.replace(b"Undelivered", _fill(b"=?", n)) + b"\nx\n",
    "from_quotes": lambda n: b"From: " + b'"' * n + b"\n" + HEAD + b"\nx\n",
    "from_comments": lambda n: b"From: " + b"(" * n + b"\n" + HEAD + b"\nx\n",
    "to_list": lambda n: b"To: " + _fill(b"<a@example.com>, ", n) + b"\n" + HEAD + b"\nx\n",
    "type_quotes": lambda n: HEAD + b"Content-Type: multipart/mixed" + _fill(b';"', n) + b"\n\nx\n",
    "type_params": lambda n: HEAD + b"Content-Type: multipart/mixed" + _fill(b"; boundary*1*=a", n) + b"\n\nx\n",
    "type_backslash": lambda n: HEAD + b'Content-Type: multipart/mixed; boundary="' + b"\\" * n + b"\n\nx\n",
    "date_digits": lambda n: b"Date: " + b"9" * n + b"\n" + HEAD + b"\nx\n",
    "nested": _nested,
    "parts": lambda n: REPORT + _fill(b"--b\n\nx\n", n),
    "part_lookalikes": lambda n: REPORT + _fill(b"--bx\n", n),
    "no_boundary": lambda n: HEAD + b"Content-Type: multipart/report\n\n" + _fill(b"--x\nContent", n),
    "status_blocks": lambda n: STATUS + _fill(b"Final-Recipient: rfc822; a@example.net\nAction: failed\n\n", n),
    "status_many": lambda n: STATUS + b"".join(b"Final-Recipient: rfc822; u%d@example.net\nAction: failed\nStatus: 5.1.1\n\n" % i for i in range(n // 74)),
    "status_blank": lambda n: STATUS + b"\n" * n,
    "status_spaces": lambda n: STATUS + _fill(b"\n \t \n", n),
    "status_folds": lambda n: STATUS + b"Final-Recipient: rfc822; a@example.net\nDiagnostic-Code: smtp; 550\n" + _fill(b" 550-5.1.1 no\n", n),
    "status_xtext": lambda n: STATUS + b"Original-Recipient: rfc822; " + _fill(b"+2B", n) + b"@example.net\n\n",
    "status_unitext": lambda n: STATUS + b"Final-Recipient: utf-8; " + _fill(b"\\x{41}", n) + b"@example.net\n\n",
    "base64": lambda n: HEAD + b"Content-Transfer-Encoding: base64\n\n" + _fill(b"QUJD\n", n),
    "base64_broken": lambda n: HEAD + b"Content-Transfer-Encoding: base64\n\n" + _fill(b"QUJ=*\n", n),
    "quoted_printable": lambda n: HEAD + b"Content-Transfer-Encoding: quoted-printable\n\n" + _fill(b"=41= \n", n),
    "iso2022": lambda n: HEAD + b"Content-Type: text/plain; charset=iso-2022-jp\n\n" + _fill(b"\x1b$B", n),
    "utf7": lambda n: HEAD + b"Content-Type: text/plain; charset=utf-7\n\n" + _fill(b"+AGE", n),
    "json": lambda n: HEAD + b'\n{"notificationType":"Bounce","bounce":{"bouncedRecipients":' + b"[" * n,
    "from_lines": lambda n: _fill(b">From x\n", n) + HEAD + b"\nx\n",
    "returned_from_lines": lambda n: HEAD + b"\nUndeliverable\n\nReceived: from x\n" + _fill(b"> From: a\n", n),
    "generated_from": lambda n: HEAD + b"\n" + _fill(b"a@example.net (generated from a@example.net) " * 20 + b"\n", n),
    "labels": lambda n: HEAD + b"\n" + _fill(b"x " * 20 + b": " * 400 + b"a@\n", n),
}  # fmt: skip
