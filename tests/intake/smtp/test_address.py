"""Paths and parameters of MAIL and RCPT."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsn_processor.intake.smtp.address import (
    ParameterError,
    PathError,
    mail_argument,
    rcpt_argument,
)


@pytest.mark.parametrize(
    "text, address, parameters",
    [
        ("FROM:<>", "", {}),
        ("from:<>", "", {}),
        ("FROM: <a@example.com>", "a@example.com", {}),
        ("FROM:a@example.com", "a@example.com", {}),
        ("FROM:<a@example.com> SIZE=10 body=8BITMIME", "a@example.com", {"SIZE": "10", "BODY": "8BITMIME"}),
        ("FROM:<@relay.example,@other.example:a@example.com>", "a@example.com", {}),
        ('FROM:<"a b>@c"@example.com> SMTPUTF8', '"a b>@c"@example.com', {"SMTPUTF8": ""}),
        (r'FROM:<"a\"b"@example.com>', r'"a\"b"@example.com', {}),
        ("FROM:<MAILER-DAEMON>", "MAILER-DAEMON", {}),
        ("FROM:<a@[192.0.2.1]>", "a@[192.0.2.1]", {}),
        ("FROM:<a@[IPv6:2001:db8::1]>", "a@[IPv6:2001:db8::1]", {}),
        ("FROM:<märz@bücher.example>", "märz@bücher.example", {}),
        ("FROM:<a..b.@docs.example>", "a..b.@docs.example", {}),
        ("FROM:<prvs=12=a@example.com>", "prvs=12=a@example.com", {}),
    ],
)
def test_senders(text, address, parameters):
    assert mail_argument(text) == (address, parameters)


@pytest.mark.parametrize(
    "path",
    [
        "<a@example.com",
        "a@example.com>",
        "<<a@example.com>>",
        "<a@example.com>>",
        "<a@example.com>x",
        "<a(c)@example.com>",
        "<a b@example.com>",
        "<a@exam ple.com>",
        "<a@>",
        "<@example.com>",
        "<a@b@example.com>",
        '<"a@example.com>',
        "<a,b@example.com>",
        "<a@example.com,b@example.com>",
        "<a;b@example.com>",
        "<" + "a" * 400 + "@example.com>",
        "<a@" + "b" * 254 + ".example>",
        "<a\u200b@example.com>",
        "<a\u202e@example.com>",
        "<a\u2028@example.com>",
        "<a\ue000@example.com>",
        "",
        "<",
        ">",
        " ",
    ],
)
def test_what_is_no_path(path):
    with pytest.raises(PathError):
        mail_argument(f"FROM:{path}")
    with pytest.raises(PathError):
        rcpt_argument(f"TO:{path}")


def test_recipients_are_somebody():
    assert rcpt_argument("TO:<Postmaster>").address == "Postmaster"
    assert rcpt_argument("to:<a@example.com> NOTIFY=NEVER").parameters == {"NOTIFY": "NEVER"}
    for path in ("<>", "<root>"):
        with pytest.raises(PathError):
            rcpt_argument(f"TO:{path}")


def test_a_return_path_may_fill_the_path():
    local = "bounces-" + "x" * 200
    assert rcpt_argument(f"TO:<{local}@example.com>").address == f"{local}@example.com"


def test_other_words():
    assert mail_argument("TO:<a@example.com>") is None
    assert mail_argument("") is None
    assert rcpt_argument("FROM:<a@example.com>") is None


@pytest.mark.parametrize("parameters", ["SIZE=1 SIZE=2", "=1", "-A", "a=", "SIZE =1", "é", "A;B"])
def test_what_is_no_parameter(parameters):
    with pytest.raises(ParameterError):
        mail_argument(f"FROM:<> {parameters}")


@given(st.text(alphabet='<>@"\\ a.:,=(\u200b', max_size=60))
def test_nothing_else_is_raised_and_nothing_odd_comes_out(text):
    try:
        argument = rcpt_argument(f"TO:{text}")
    except (PathError, ParameterError):
        return
    assert argument is not None
    assert argument.address.isprintable()
    assert '"' in argument.address or not set(argument.address) & set("<> (,:\\")
