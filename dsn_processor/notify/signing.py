"""Signatures of Standard Webhooks 1.0.0: HMAC-SHA256 over id, time and the body as it is sent."""

import base64
import binascii
import hmac
import secrets
from collections.abc import Iterable, Mapping

_PREFIX = "whsec_"
_BYTES = 32
_SHORTEST, _LONGEST = 24, 64


def new_secret() -> str:
    """``whsec_`` and 32 random bytes in base64."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(_BYTES)).decode("ascii")


def key_of(secret: str) -> bytes:
    """The bytes that a secret stands for. Raises ValueError where it is none."""
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(_PREFIX) or not _SHORTEST <= len(key) <= _LONGEST:
        raise ValueError(f"a secret is {_PREFIX} and {_SHORTEST} to {_LONGEST} bytes in base64")
    return key


def signed_headers(message_id: str, seconds: int, body: bytes, keys: Iterable[bytes]) -> Mapping[str, str]:
    """The three headers. ``seconds`` since 1970; with several keys, as while one takes another's place, any of them
    verifies.
    """
    content = b"%s.%d.%s" % (message_id.encode(), seconds, body)
    signatures = [base64.b64encode(hmac.digest(key, content, "sha256")).decode("ascii") for key in keys]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": " ".join(f"v1,{one}" for one in signatures),
    }
