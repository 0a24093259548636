"""A million tokens that nobody of us made: none may be accepted."""

import base64
import random
from collections.abc import Iterator
from datetime import UTC, datetime

from dsn_processor.correlate.token import LENGTH, MARK, Key, verify
from dsn_processor.tokens import mint

_KEYS = {number: Key(number, b"correct-horse-battery-staple") for number in (1, 2)}
_BYTES = 30


def tokens(number: int, seed: int) -> Iterator[str]:
    """Random ones, half of them with the number of a key of ours, and true ones with a few bits flipped."""
    rng = random.Random(seed)
    true = [mint(_KEYS[1], f"{one}@example.net", message_id=f"{one}@example.com") for one in range(100)]
    contents = [base64.b32decode(one[len(MARK) :].upper()) for one in true]
    accepted = 0
    for at in range(number):
        if at % 4 == 0:
            content = bytearray(rng.choice(contents))
            for bit in rng.sample(range(8 * _BYTES), rng.randint(1, 4)):
                content[bit // 8] ^= 1 << bit % 8
        else:
            content = bytearray(rng.randbytes(_BYTES))
            content[0] = 1 if at % 2 else content[0]
        token = MARK + base64.b32encode(content).decode().lower()
        assert len(token) == LENGTH
        accepted += verify(_KEYS, token) is not None
    known = sum(verify(_KEYS, one) is not None for one in true)
    print(f"{number:,} random and flipped tokens: {accepted} accepted; {known} of {len(true)} true ones are")
    if accepted or known < len(true):
        yield f"{accepted} tokens of others accepted, {len(true) - known} of ours refused ({datetime.now(UTC)})"
