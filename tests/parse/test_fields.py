import pytest

from dsn_processor.parse.charsets import decode
from dsn_processor.parse.dates import iso_date
from dsn_processor.parse.fields import FIELD_LIMIT, VALUE_LIMIT, Fields, decode_words, parameter
from dsn_processor.parse.html import html_to_text
from dsn_processor.parse.message import parse_message


@pytest.mark.parametrize(
    "value, text",
    [
        ("plain", "plain"),
        ("=?utf-8?Q?Gr=C3=BC=C3=9Fe?= an alle", "Grüße an alle"),
        ("=?utf-8?B?R3LDvMOf?=\n =?utf-8?B?ZQ==?=", "Grüße"),
        ("=?utf-8?B?w7w=?= =?utf-8?Q?=C3?= =?utf-8?Q?=BC?=", "üü"),
        ("=?iso-2022-jp?B?GyRCJEsbKEI=?=", "に"),
        ("=?gb2312?B?1tDOxA==?=", "中文"),
        ("=?UTF-8*de?Q?=C3=A4?=", "ä"),
        ("=?nonsense?Q?=E4?=", "ä"),
        ("=?utf-8?B?!!!?=", ""),
        ("=?utf-8?Q?unfinished", "=?utf-8?Q?unfinished"),
        ("caf\xc3\xa9", "café"),
        ("caf\xe9", "café"),
    ],
)
def test_encoded_words(value, text):
    assert decode_words(Fields(f"Subject: {value}\n").raw("subject")) == text


@pytest.mark.parametrize(
    "value, expected",
    [
        ('multipart/report; boundary="a b"', "a b"),
        ("multipart/report; report-type=x; boundary=abc", "abc"),
        (r'multipart/report; boundary="a\"b"', 'a"b'),
        ("multipart/report; boundary*0=ab; boundary*1=cd", "abcd"),
        ("multipart/report; boundary*1=cd; boundary*0=ab", "abcd"),
        ("multipart/report; boundary*=utf-8''a%20b", "a b"),
        ("multipart/report; BOUNDARY = xyz", "xyz"),
        ('multipart/report; boundary="open', "open"),
        ("multipart/report", None),
        ("multipart/report; xboundary=no", None),
    ],
)
def test_parameters(value, expected):
    assert parameter(value, "boundary") == expected


def test_folded_fields_and_the_first_of_several():
    fields = Fields("A: one\n two\n\tthree\na: four\nB:five\nno field\n")
    assert fields.raw("a") == "one two three"
    assert list(fields.all("a")) == ["one two three", "four"]
    assert fields.raw("b") == "five"
    assert fields.raw("c") is None
    assert "b" in fields


def test_fields_and_values_are_bounded():
    assert len(Fields("A: b\n" * (FIELD_LIMIT * 2)).pairs) == FIELD_LIMIT
    assert len(Fields("A: " + "b" * VALUE_LIMIT * 3).raw("a")) == VALUE_LIMIT


@pytest.mark.parametrize(
    "text, iso",
    [
        ("Sat, 21 Nov 2026 02:40:30 +0100", "2026-11-21T02:40:30+01:00"),
        ("21 Nov 26 02:40 EST", "2026-11-21T02:40:00-05:00"),
        ("Sat, 21-Nov-2026 02:40:60 GMT", "2026-11-21T02:40:59+00:00"),
        ("Sat Nov 21 02:40:30 2026", "2026-11-21T02:40:30+00:00"),
        ("2026-11-21T02:40:30Z", "2026-11-21T02:40:30+00:00"),
        ("1 Jan 99 00:00:00 -0730", "1999-01-01T00:00:00-07:30"),
        ("31 Feb 2026 00:00:00 +0000", None),
        ("1 Foo 2026 00:00:00 +0000", None),
        ("1 Jan 2026 99:00:00 +0000", None),
        ("1 Jan 2026 00:00:00 +9999", None),
        ("9" * 5000, None),
        ("", None),
        (None, None),
        ("Sat, 21 Nov 2026 02:40:30 -0000", "2026-11-21T02:40:30+00:00"),
        ("Sun, 29 Feb 2026 02:40:30 +0000", None),
        ("Sat, 29 Feb 2020 02:40:30 -0800", "2020-02-29T02:40:30-08:00"),
    ],
)
def test_dates(text, iso):
    assert iso_date(text) == iso


@pytest.mark.parametrize(
    "data, charset, text",
    [
        (b"abc", None, "abc"),
        ("é".encode(), None, "é"),
        (b"\xe9", None, "é"),
        (b"\xe9", "iso-8859-1", "é"),
        (b"\xe9", "idna", "é"),
        (b"\xe9", "unicode_escape", "é"),
        (b"\xe9", "\x00", "é"),
        ("中文".encode("gb18030"), "gb2312", "中文"),
        ("に".encode("iso-2022-jp"), "us-ascii", "に"),
        ("に".encode("cp932"), "Shift_JIS", "に"),
        (b"\xff\xfe", "utf-8", "ÿþ"),
    ],
)
def test_charsets_by_label_and_by_look(data, charset, text):
    assert decode(data, charset) == text


def test_html_reads_like_its_page():
    html = "<html><head><title>x</title><style>p {}</style></head><body><p>One &amp;\ntwo</p><br>Three &lt;a@example.net&gt;<td>4</td><script>no</script></body>"
    assert html_to_text(html).split("\n") == ["One & two", "", "Three <a@example.net>4"]


def test_an_address_in_the_clear_is_no_tag():
    assert (
        html_to_text("<b>To</b> <ann@example.net> <a href='mailto:x@example.net'>x</a>")
        == "To <ann@example.net> x"
    )


def test_a_from_field_with_a_blank_before_its_colon_is_no_mbox_line():
    parsed = parse_message(b"Subject: x\nFrom : MAILER-DAEMON <>\nTo: a@example.net\n\ntext\n")
    assert parsed.from_ == "MAILER-DAEMON <>"
