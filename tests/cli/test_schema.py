"""The published shape of a line of ``parse``: every mail keeps to it, and it keeps to the program's words."""

import json
import typing
from enum import StrEnum
from importlib.resources import files
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from dsn_processor import facts, terms
from dsn_processor.cli.output import json_line
from dsn_processor.contract import describe_mail
from dsn_processor.facts import InboundMessage
from dsn_processor.reading import read

ROOT = Path(__file__).parents[2]
MAILS = sorted((ROOT / "fixtures_eml").rglob("*.eml"))
TEXT = (files("dsn_processor") / "schemas" / "parse.schema.json").read_text("utf-8")
SCHEMA = json.loads(TEXT)
MAIL_KEYS = [
    "source",
    "kind",
    "message_id",
    "date",
    "from",
    "subject",
    "reporting_mta",
    "original_envelope_id",
    "arrival_date",
    "recipients",
    "returned_message",
    "feedback",
    "defects",
]
RECIPIENT_KEYS = [
    "address",
    "original",
    "action",
    "status",
    "reply_code",
    "bounce_type",
    "reason",
    "scope",
    "confidence",
    "rule_id",
    "evidence",
    "block",
    "diagnostic_code",
    "remote_mta",
    "smtp_command",
    "last_attempt_date",
    "will_retry_until",
]

ON_REQUEST = {"mappings"}


def closed(schema):
    """The schema without room for keys that it does not name: what is printed today has to be told today."""
    if isinstance(schema, dict):
        more = {"additionalProperties": False} if "properties" in schema and "required" in schema else {}
        return {**{key: closed(value) for key, value in schema.items()}, **more}
    return [closed(value) for value in schema] if isinstance(schema, list) else schema


def objects(schema):
    if isinstance(schema, dict):
        if "properties" in schema and "type" in schema:
            yield schema
        for value in schema.values():
            yield from objects(value)


VALIDATOR = Draft202012Validator(closed(SCHEMA))


def line(raw, *, truncated=False, mappings=False):
    message = InboundMessage(raw=raw, source="x.eml", truncated=truncated)
    return json.loads(json_line(describe_mail(message, read(raw), mappings=mappings)))


def complaints(value):
    return [f"{error.json_path}: {error.message}" for error in VALIDATOR.iter_errors(value)]


def test_the_schema_is_one():
    Draft202012Validator.check_schema(SCHEMA)


def test_what_docs_publish_is_what_the_program_prints(cli):
    """To mend: dsn-processor parse --schema > docs/parse.schema.json"""
    assert cli("parse", "--schema") == (0, TEXT, "")
    assert (ROOT / "docs/parse.schema.json").read_text("utf-8") == TEXT


@pytest.mark.parametrize("path", MAILS, ids=lambda path: path.relative_to(ROOT / "fixtures_eml").as_posix())
def test_every_fixture(path):
    raw = path.read_bytes()
    assert complaints(line(raw)) == []
    assert complaints(line(raw[: len(raw) * 2 // 3])) == []
    mail = line(raw, mappings=True)
    assert complaints(mail) == []
    assert all("mappings" in one for one in (mail, *mail["recipients"]))


@pytest.mark.parametrize("action", terms.Action)
@pytest.mark.parametrize("status", ["5.1.1", "4.2.2", "2.0.0", "5.999.1", "9.9.9", ""])
def test_every_action(write_dsn, action, status):
    assert complaints(line(write_dsn(action=action, status=status, others=("eve@example.net",)))) == []


@pytest.mark.parametrize(
    "text", ["\x00\x1b", "\ud800", "=?utf-8?b?7aCA?=", "x" * 20_000, "999 9.9.9", "550", "0"]
)
def test_strange_words(write_dsn, text):
    raw = write_dsn().replace(b"550 5.1.1 <bob", text.encode("utf-8", "surrogatepass") + b" <bob")
    assert complaints(line(raw)) == []
    raw = write_dsn().replace(b"Subject: ", b"Subject: " + text.encode("utf-8", "surrogatepass"))
    assert complaints(line(raw, truncated=True)) == []


@pytest.mark.parametrize("raw", [b"", b"\n", b"\0" * 99, bytes(range(256)) * 9, b"Subject: x"])
def test_no_mail_at_all(raw):
    assert complaints(line(raw)) == []


def test_keys_come_in_the_order_of_the_contract(write_dsn):
    mail = line(write_dsn())
    assert list(mail) == MAIL_KEYS == SCHEMA["required"]
    assert list(mail["recipients"][0]) == RECIPIENT_KEYS == SCHEMA["$defs"]["recipient"]["required"]


def test_every_key_is_required_and_described():
    found = list(objects(SCHEMA))
    assert len(found) >= 7
    for one in found:
        assert one["required"] == [name for name in one["properties"] if name not in ON_REQUEST]
        assert all(value.get("description") or "$ref" in value for value in one["properties"].values())


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("action", terms.Action),
        ("bounce_type", terms.BounceType),
        ("reason", terms.Reason),
        ("scope", terms.Scope),
    ],
)
def test_words_are_those_of_the_program(name, words: type[StrEnum]):
    assert SCHEMA["$defs"]["recipient"]["properties"][name]["enum"] == [*(word.value for word in words), None]


def test_kinds_are_those_of_the_program():
    assert SCHEMA["properties"]["kind"]["enum"] == [kind.value for kind in terms.Kind]


def test_mechanisms_are_those_of_the_facts():
    block = SCHEMA["$defs"]["recipient"]["properties"]["block"]
    assert set(block["properties"]) == set(typing.get_type_hints(facts.Block))
    told = facts.Block.__doc__
    assert all(word in told for word in block["properties"]["mechanism"]["enum"] if word)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda mail: mail.update(extra=1),
        lambda mail: mail.pop("defects"),
        lambda mail: mail.update(kind="bounced"),
        lambda mail: mail.update(date="yesterday"),
        lambda mail: mail["recipients"][0].update(extra=1),
        lambda mail: mail["recipients"][0].update(reason=None),
        lambda mail: mail["recipients"][0].update(reply_code="550"),
        lambda mail: mail["recipients"][0].update(confidence=1.5),
        lambda mail: mail["recipients"][0].update(action="delivered"),
        lambda mail: mail["recipients"][0]["evidence"][0].pop("text"),
        lambda mail: mail["returned_message"].pop("to"),
    ],
)
def test_the_schema_sees_what_is_wrong(write_dsn, spoil):
    mail = line(write_dsn())
    spoil(mail)
    assert complaints(mail)
