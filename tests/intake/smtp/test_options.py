"""What an operator can set, and the words where it does not fit."""

import pytest

from dsn_processor.intake.smtp.options import LmtpOptions, SmtpOptions, check_together


@pytest.mark.parametrize(
    "options, words",
    [
        ({"listen": ("0.0.0.0:25",)}, "without recipients"),
        ({"listen": ("127.0.0.1:25", "[2001:db8::1]:25")}, r"\[2001:db8::1\]:25"),
        ({"listen": ("unix:/run/x",)}, "unix sockets are for lmtp"),
        ({"recipients": ("a@",)}, "recipients has"),
        ({"size_limit": 200_000_000}, "size_limit"),
        ({"max_recipients": 0}, "max_recipients has to be from 1"),
        ({"store_timeout": 600}, "store_timeout"),
        ({"tls_key": "key.pem"}, "without tls_certificate"),
        ({"proxy_protocol": True}, "trusted_networks"),
        ({"trusted_networks": ("nonsense",)}, "trusted_networks"),
        ({"hostname": "a b"}, "hostname"),
        ({"hostname": "a\r\n220 b"}, "hostname"),
    ],
)
def test_what_does_not_fit(options, words):
    with pytest.raises(ValueError, match=words):
        SmtpOptions(**options)


def test_beyond_loopback_with_recipients():
    SmtpOptions(listen=("*:25",), recipients=("bounces@example.com",))


def test_lmtp_needs_the_recipients_of_smtp():
    lmtp = LmtpOptions(listen=("192.0.2.1:24",))
    with pytest.raises(ValueError, match="lmtp listens on"):
        check_together(SmtpOptions(), lmtp)
    check_together(SmtpOptions(recipients=("example.com",)), lmtp)
    with pytest.raises(ValueError, match="socket_mode"):
        LmtpOptions(socket_mode=0o7777)
