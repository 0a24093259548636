"""Signatures, held against the reference library."""

import base64
import time
from datetime import UTC, datetime

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from dsn_processor.notify.signing import key_of, new_secret, signed_headers

BODY = '{"type":"bounce.failed","data":{"recipient":"ü"}}'.encode()

NOW = int(time.time())


def signed(*secrets, at=None):
    return dict(signed_headers("msg_1", int(at or time.time()), BODY, map(key_of, secrets)))


def test_the_reference_library_verifies():
    secret = new_secret()
    assert Webhook(secret).verify(BODY, signed(secret))["type"] == "bounce.failed"


def test_its_own_signature_is_ours():
    secret = new_secret()
    headers = signed(secret, at=1_700_000_000)
    at = datetime.fromtimestamp(1_700_000_000, UTC)
    assert Webhook(secret).sign("msg_1", at, BODY.decode()) == headers["webhook-signature"]


def test_both_secrets_verify_while_one_takes_the_others_place():
    old, new, other = new_secret(), new_secret(), new_secret()
    headers = signed(new, old)
    assert headers["webhook-signature"].count("v1,") == 2
    Webhook(old).verify(BODY, headers)
    Webhook(new).verify(BODY, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(other).verify(BODY, headers)


def test_every_flipped_bit_is_refused():
    secret = new_secret()
    headers = signed(secret)
    for at in range(len(BODY) * 8):
        flipped = bytearray(BODY)
        flipped[at // 8] ^= 1 << at % 8
        with pytest.raises((WebhookVerificationError, UnicodeDecodeError)):
            Webhook(secret).verify(bytes(flipped), headers)
    signature = base64.b64decode(headers["webhook-signature"].removeprefix("v1,"))
    for at in range(len(signature) * 8):
        flipped = bytearray(signature)
        flipped[at // 8] ^= 1 << at % 8
        wrong = {**headers, "webhook-signature": "v1," + base64.b64encode(flipped).decode()}
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(BODY, wrong)


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-id": "msg_2"},
        {"webhook-timestamp": str(NOW + 1)},
        {"webhook-timestamp": str(NOW - 3_600)},
        {"webhook-signature": ""},
    ],
)
def test_another_id_or_time_is_refused(change):
    secret = new_secret()
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(BODY, signed(secret, at=NOW) | change)


def test_an_old_signature_is_refused_though_it_is_right():
    secret = new_secret()
    with pytest.raises(WebhookVerificationError, match="too old"):
        Webhook(secret).verify(BODY, signed(secret, at=time.time() - 301))


def test_secrets_are_what_the_standard_wants():
    secrets = {new_secret() for _ in range(100)}
    assert len(secrets) == 100
    assert all(24 <= len(key_of(secret)) <= 64 for secret in secrets)


@pytest.mark.parametrize(
    "text", ["", "whsec_", "whsec_AAAA", "AAAA" * 10, "whsec_" + "A" * 100, "whsec_%%%" + "A" * 40]
)
def test_what_is_no_secret_is_told(text):
    with pytest.raises(ValueError, match="24 to 64 bytes"):
        key_of(text)
