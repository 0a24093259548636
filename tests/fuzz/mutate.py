"""Mutations of mail: what transport, gateways and attackers do to bytes. Deterministic for a given seed."""

import random

TOKENS = (
    b"\n", b"\r", b"\r\n", b"\n\n", b"\x00", b"\xff", b"\x80", b" ", b"\t", b":", b";", b"<", b">", b'"', b"(", b")", b"=", b"--", b"@", b",", b".",
    b"=?utf-8?B?", b"=?x?Q?=FF?=", b"?=", b'Content-Type: multipart/mixed; boundary="', b"Content-Type: message/delivery-status\n\n", b"Content-Transfer-Encoding: base64\n",
    b"Content-Transfer-Encoding: quoted-printable\n", b'charset="utf-16"', b"charset=idna", b"charset*0*=x", b"Final-Recipient: rfc822; ", b"Original-Recipient: utf-8; \\x{110000}",
    b"Status: 5.1.1\n", b"Action: failed\n", b"Diagnostic-Code: smtp; 550-", b"From ", b">From ", b"+ZZ", b"\\x{", b"&#" + b"9" * 50 + b";", b"<style>", b"<!--", b"550 5.1.1 ",
    b"\x1b$B", b"\x1b(B", b"\xed\xa0\x80", b"999999999999", b"Date: 99 Foo 9999 99:99:99 +9999\n",
)  # fmt: skip


def mutate(seed_mails: list[bytes], rng: random.Random, limit: int = 200_000) -> bytes:
    """One mutant: a few random edits of a random mail."""
    data = bytearray(rng.choice(seed_mails))
    for _ in range(rng.randint(1, 8)):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(9):
            case 0:
                data[at : at + rng.randint(1, 60)] = b""
            case 1:
                data[at:at] = rng.randbytes(rng.randint(1, 20))
            case 2:
                data[at:at] = rng.choice(TOKENS) * rng.choice((1, 1, 1, 2, 40, 400))
            case 3:
                other = rng.choice(seed_mails)
                start = rng.randrange(len(other) + 1)
                data[at:at] = other[start : start + rng.randint(1, 2000)]
            case 4:
                del data[at:]
            case 5:
                data[at : at + 20] = data[at : at + 20][::-1]
            case 6:
                piece = bytes(data[at : at + rng.randint(1, 200)])
                data[at:at] = piece * rng.randint(1, 50)
            case 7:
                data = bytearray(bytes(data).replace(b"\n", rng.choice((b"\r\n", b"\r", b"\n\n", b" "))))
            case _:
                if at < len(data):
                    data[at] = rng.randrange(256)
    return bytes(data[:limit])
