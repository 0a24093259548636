"""Which recipients are ours."""

import pytest

from dsn_processor.intake.smtp.recipients import Recipients

_SOME = Recipients(
    [
        "Bounces@Example.com",
        "bounces+*@example.com",
        "@all.example",
        "bücher.example",
        "*.sub.example",
        "b-*-x*@*.net",
    ]
)


@pytest.mark.parametrize(
    "address",
    [
        "bounces@example.com",
        "BOUNCES@EXAMPLE.COM",
        "bounces@example.com.",
        '"bounces"@example.com',
        "bounces+token=1@example.com",
        "bounces+@example.com",
        "anybody@all.example",
        "a@xn--bcher-kva.example",
        "a@BÜCHER.example",
        "a@deep.er.sub.example",
        "b-1-x2@host.net",
        "postmaster",
        "Postmaster",
        "PostMaster@example.com",
        "postmaster@elsewhere.example",
    ],
)
def test_ours(address):
    assert _SOME.take(address)


@pytest.mark.parametrize(
    "address",
    [
        "bounce@example.com",
        "xbounces@example.com",
        "bounces+x@example.com.evil.example",
        "bounces+x@evil.example@example.net",
        "bounces@sub.example.com",
        "a@sub.example",
        "a@notall.example",
        "b-1@host.net",
        "bounces+@",
        "root",
        "",
        '"bounces+x@example.com"@evil.example',
    ],
)
def test_not_ours(address):
    assert not _SOME.take(address)


def test_none_told_is_anybody():
    assert Recipients().take("who@ever.example")


@pytest.mark.parametrize("entry", ["", "@", "a@", "<a@example.com>", "a@b@c", "a@example.com, b@example.com"])
def test_what_is_no_recipient(entry):
    with pytest.raises(ValueError, match="write an address"):
        Recipients([entry])


def test_a_pattern_takes_no_time():
    hostile = Recipients(["*a*a*a*a*a*a*a*a*a*a*b@example.com"])
    assert not hostile.take("a" * 240 + "@example.com")
