import collections
import importlib.util
import ipaddress
import json
import re
from pathlib import Path

import pytest

from dsn_processor.reading import read
from dsn_processor.terms import REASONS, Action, BounceType, Kind, Reason

HERE = Path(__file__).parent
FIXTURES = HERE.parent / "fixtures_eml"

_spec = importlib.util.spec_from_file_location("sidecar", HERE / "sidecar.py")
sidecar = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(sidecar)

MAILS = sorted(path for path in FIXTURES.rglob("*.eml") if "private" not in path.parts)
EXPECTED = {path: json.loads(sidecar.sidecar_of(path).read_text("utf-8")) for path in MAILS}


def name(path):
    return path.relative_to(FIXTURES).with_suffix("").as_posix()


def folder(path):
    return path.parent.relative_to(FIXTURES).as_posix()


def with_line_ends(path):
    """The mail as kept, with LF and with CRLF, each form once; the first of a folder also with CR alone."""
    kept = path.read_bytes()
    forms = {"kept": kept, "lf": lf(kept), "crlf": lf(kept).replace(b"\n", b"\r\n")}
    if path in FIRST_OF_FOLDER:
        forms["cr"] = lf(kept).replace(b"\n", b"\r")
    return {raw: form for form, raw in reversed(forms.items())}.items()


def lf(raw):
    return raw.replace(b"\r\n", b"\n")


each_mail = pytest.mark.parametrize("path", MAILS, ids=name)
FIRST_OF_FOLDER = set({folder(path): path for path in reversed(MAILS)}.values())
FORMS = {f"{name(path)}-{form}": (path, raw) for path in MAILS for raw, form in with_line_ends(path)}


@pytest.mark.parametrize("form", FORMS)
def test_fixture(form):
    path, raw = FORMS[form]
    assert not sidecar.mismatch(path, read(raw)), form


# Text in the returned message never changes the verdict.

RETURNED_PART = re.compile(
    rb"^Content-Type: *(?:message/rfc822|text/rfc822-headers|message/rfc822-headers|message/global(?:-headers)?) *[;\r\n]",
    re.MULTILINE | re.IGNORECASE,
)
POISON = (
    b"\n550 5.1.1 <poison@example.com>: Recipient address rejected: User unknown\n"
    b"552 5.2.2 <poison@example.com>: mailbox is full\n"
    b"The following address(es) failed:\n\n  poison@example.com\n    550 unknown user\n\n"
    b"Final-Recipient: rfc822; poison@example.com\nAction: failed\nStatus: 5.1.1\n"
    b"Diagnostic-Code: smtp; 550 5.1.1 User unknown\nI am out of the office.\n"
)


def poisoned(path):
    """The mail with the words of other outcomes written into what it returns; None where it returns nothing."""
    raw = lf(path.read_bytes())
    parts = list(RETURNED_PART.finditer(raw))
    if parts:
        delimiter = raw[: parts[-1].start()].rpartition(b"\n--")[2].split(b"\n", 1)[0]
        end = raw.find(b"\n--" + delimiter, parts[-1].end())
        return raw[:end] + POISON + raw[end:] if end > 0 else None
    if "returned_message_id" in EXPECTED[path] and b"\nContent-Type: multipart/" not in raw:
        return raw + POISON
    return None


@pytest.mark.parametrize(
    "path",
    [path for path in MAILS if folder(path) != "malformed" and poisoned(path)],
    ids=name,
)
def test_words_in_the_returned_message_change_nothing(path):
    assert sidecar.outcome(read(poisoned(path))) == sidecar.outcome(read(path.read_bytes()))


# The comparer sees what it should see.


def planted(tmp_path, reading, **changes):
    """A fixture whose expectation is the outcome of ``reading`` with ``changes``."""
    eml = tmp_path / "planted.eml"
    eml.write_bytes(b"")
    expected = {"origin": "written", "why": "planted", **sidecar.outcome(reading), **changes}
    sidecar.sidecar_of(eml).write_text(json.dumps(expected), "utf-8")
    return eml


@pytest.fixture
def reading():
    return read((FIXTURES / "dsn/stalwart/user-unknown-and-timeout.eml").read_bytes())


def test_comparer_passes_what_agrees(tmp_path, reading):
    recipients = sidecar.outcome(reading)["recipients"]
    assert not sidecar.mismatch(planted(tmp_path, reading), reading)
    assert not sidecar.mismatch(planted(tmp_path, reading, kind=["delayed", "failed"]), reading)
    assert not sidecar.mismatch(planted(tmp_path, reading, recipients=recipients[::-1]), reading)
    assert not list(tmp_path.glob("*.got"))


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "delayed"},
        {"kind": ["delayed", "delivered"]},
        {"recipients": []},
        {"recipients": [{"address": "nobody@example.org"}]},
        {
            "recipients": [
                {"address": "nobody@example.org", "status": "5.1.2"},
                {"address": "someone@example.net"},
            ]
        },
        {"recipients": [{"address": f"{who}@example.org"} for who in ("nobody", "someone", "third")]},
        {"reporting_mta": None},
        {"defects": ["no_such_defect"]},
    ],
    ids=str,
)
def test_comparer_tells_what_differs(tmp_path, reading, change):
    eml = planted(tmp_path, reading, **change)
    assert "+++ got" in sidecar.mismatch(eml, reading)
    assert json.loads(eml.with_suffix(".got").read_text("utf-8")) == sidecar.outcome(reading)


# The collection keeps its own rules.


def test_each_mail_has_its_expectation_and_each_expectation_its_mail():
    mails = {name(path) for path in MAILS}
    sidecars = {
        path.relative_to(FIXTURES).as_posix().removesuffix(sidecar.SUFFIX)
        for path in FIXTURES.rglob("*" + sidecar.SUFFIX)
        if "private" not in path.parts
    }
    assert mails == sidecars


def alternatives(value):
    return value if isinstance(value, list) else [value]


@each_mail
def test_expectation_speaks_the_vocabulary(path):
    expected = EXPECTED[path]
    assert expected.keys() <= {
        "origin",
        "why",
        "kind",
        "recipients",
        "reporting_mta",
        "returned_message_id",
        "feedback_type",
        "defects",
    }
    assert set(alternatives(expected["kind"])) <= set(Kind)
    for recipient in expected.get("recipients", []):
        assert recipient.keys() <= {
            "address",
            "original",
            "action",
            "status",
            "reply_code",
            "bounce_type",
            "reason",
        }
        assert set(alternatives(recipient.get("action"))) <= {*Action, None}
        if "reason" in recipient:
            reasons = [Reason(word) for word in alternatives(recipient["reason"])]
            types = [BounceType(word) for word in alternatives(recipient["bounce_type"])]
            # On a 4xx alone a hard reason is soft, and so is a rate limit.
            usual = {REASONS[reason][0] for reason in reasons}
            assert usual & set(types) or (types == [BounceType.SOFT] and recipient["status"].startswith("4"))


def test_real_servers_are_well_represented():
    origins = collections.Counter(expected["origin"] for expected in EXPECTED.values())
    assert origins["postfix"] >= 10
    assert origins["exim"] >= 10
    assert origins["opensmtpd"] >= 6
    assert origins["sendmail"] >= 6
    others = {
        "courier",
        "dma",
        "nullmailer",
        "chasquid",
        "haraka",
        "slimta",
        "dovecot",
        "mailman",
        "zonemta",
        "mlmmj",
        "amavis",
        "mailutils",
        "cyrus",
        "fetchmail",
    }
    assert origins.keys() == {"postfix", "exim", "opensmtpd", "sendmail", "written"} | others


def test_readme_counts_what_is_here():
    rows = re.findall(r"^\| `([^`]+)` \| (\d+) \|", (FIXTURES / "README.md").read_text("utf-8"), re.MULTILINE)
    folders = collections.Counter(name(path).partition("/")[0] for path in MAILS)
    origins = collections.Counter(expected["origin"] for expected in EXPECTED.values())
    assert {word: int(count) for word, count in rows} == {**folders, **origins, "all": len(MAILS)}


DOCUMENTATION = [
    ipaddress.ip_network(net)
    for net in (
        "192.0.2.0/24",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "2001:db8::/32",
        "127.0.0.0/8",
        "::1/128",
    )
]
IP = re.compile(r"(?<![\w./-])(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f]{1,4}:[0-9a-f:]*::[0-9a-f:]*)(?![\w/]|\.\d)")
ADDRESS = re.compile(r"@([\w-]+(?:\.[\w-]+)+)")
#: Domains of mail systems whose own senders, Message-IDs and hints a report is recognised by.
SYSTEMS = {
    "googlemail.com",
    "google.com",
    "hotmail.com",
    "exchangelabs.com",
    "amazonses.com",
    "sendgrid.net",
    "mailgun.net",
    "sparkpostmail.com",
    "zoho.com",
    "yandex.ru",
    "mail.ru",
    "gmx.net",
    "kundenserver.de",
    "t-online.de",
    "qq.com",
    "126.com",
    "docomo.ne.jp",
    "ezweb.ne.jp",
    "yahoo.com",
    "aol.com",
    "messagelabs.com",
    "senderscore.net",
}


def for_documentation(domain):
    domain = domain.lower().rstrip(".")
    return domain.endswith(".example") or re.search(r"(?:^|\.)example\.(?:com|net|org)$", domain)


@each_mail
def test_addresses_are_for_documentation(path):
    text = path.read_bytes().replace(b"=\n", b"").decode("utf-8", "replace")  # no soft line breaks
    strangers = {
        domain
        for domain in ADDRESS.findall(text)
        if not for_documentation(domain) and not any(f".{domain}".endswith(f".{known}") for known in SYSTEMS)
    }
    for found in IP.findall(text):
        try:
            address = ipaddress.ip_address(found)
        except ValueError:  # a version number
            continue
        if not any(address in net for net in DOCUMENTATION):
            strangers.add(found)
    assert not strangers
