"""Text of mails and of strangers, made safe to look at: for terminals and log lines."""

import re

from dsn_processor.patterns import pattern

#: Controls (C0, DEL, C1: escape sequences begin there), line separators, bidirectional overrides, invisible
#: characters, tags and lone surrogates: what moves the cursor, hides text or shows it in another order.
UNSAFE = pattern(
    "[\x00-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\u3164\ufeff\uffa0\ufff0-\ufffb\ud800-\udfff\U000e0000-\U000e0fff]"
)


def safe(text: object) -> str:
    r"""``text`` on one line, safe for a terminal: what is no plain text is shown as ``\x1b``, ``\u202e``, ..."""
    plain = str(text)
    return plain if plain.isascii() and plain.isprintable() else UNSAFE.sub(_shown, plain)


def _shown(match: re.Match[str]) -> str:
    point = ord(match[0])
    if point <= 0xFF:
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point <= 0xFFFF else f"\\U{point:08x}"
