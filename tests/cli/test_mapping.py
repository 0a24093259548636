"""What other systems call our answers: every reason and kind has its names, and the names are theirs."""

import json
from importlib.resources import files

import pytest

from dsn_processor.mapping import (
    KIND_NAMES,
    POSTMARK,
    REASON_NAMES,
    SES_BOUNCES,
    SES_COMPLAINTS,
    SES_DELAYS,
    SPARKPOST,
    map_kind,
    map_reason,
)
from dsn_processor.terms import REASONS, BounceType, Kind, Reason

# Their documents, in their own spelling.
POWERMTA = set(
    """bad-configuration bad-connection bad-domain bad-mailbox content-related inactive-mailbox invalid-sender
    message-expired no-answer-from-host other policy-related protocol-errors quota-issues relaying-issues
    routing-errors spam-related virus-related""".split()  # noqa: SIM905
)
KUMOMTA = set(
    """AuthenticationFailed BadConfiguration BadConnection BadDomain ContentRelated DNSFailure InactiveMailbox
    InvalidRecipient InvalidSender MessageExpired NoAnswerFromHost PolicyRelated ProhibitedAttachment ProtocolErrors
    QuotaIssues RelayDenied RoutingErrors SpamBlock SpamContent TooManyRecipients TransientFailure Uncategorized
    VirusRelated""".split()  # noqa: SIM905
)
SISIMAI = set(
    """authfailure badreputation blocked contenterror delivered exceedlimit expired feedback filtered hasmoved
    hostunknown mailboxfull mailererror mesgtoobig networkerror norelaying notaccept notcompliantrfc onhold
    policyviolation rejected requireptr securityerror spamdetected speeding suppressed suspend syntaxerror systemerror
    systemfull toomanyconn undefined userunknown vacation virusdetected""".split()  # noqa: SIM905
)
SYSTEMS = ["ses", "postmark", "sparkpost", "powermta", "kumomta", "sisimai", "two_type"]
SCHEMA = json.loads((files("dsn_processor") / "schemas" / "parse.schema.json").read_text("utf-8"))


def known(names):
    """Whether all names are of the vocabularies of their systems."""
    ses = names["ses"]
    if ses is not None:
        if ses["event"] == "Bounce":
            assert ses["subtype"] in SES_BOUNCES[ses["type"]]
        else:
            types = {"DeliveryDelay": SES_DELAYS, "Complaint": SES_COMPLAINTS, "Delivery": [None]}
            assert (ses["type"] in types[ses["event"]], ses["subtype"]) == (True, None)
    assert names["postmark"] is None or POSTMARK[names["postmark"]["name"]] == names["postmark"]["code"]
    assert names["sparkpost"] is None or SPARKPOST[names["sparkpost"]["code"]] == names["sparkpost"]["name"]
    assert names["powermta"] in POWERMTA | {None}
    assert names["kumomta"] in KUMOMTA | {None}
    assert names["sisimai"] in SISIMAI | {None}
    assert names["two_type"] in {"hard", "soft", None}
    return list(names) == SYSTEMS


def test_every_reason_and_kind_has_its_names():
    assert REASON_NAMES.keys() == set(Reason)
    assert KIND_NAMES.keys() == set(Kind)


@pytest.mark.parametrize("reason", Reason)
@pytest.mark.parametrize("bounce_type", BounceType)
@pytest.mark.parametrize("kind", [Kind.FAILED, Kind.DELAYED])
def test_reasons(reason, bounce_type, kind):
    names = map_reason(reason, bounce_type, kind)
    assert known(names)
    without = {system for system, name in names.items() if name is None}
    assert without == ({"kumomta"} if reason is Reason.SUPPRESSED_UPSTREAM else set())
    assert names["two_type"] == ("hard" if bounce_type is BounceType.HARD else "soft")
    permanent = names["ses"]["type"] == "Permanent"
    assert permanent == (
        bounce_type is BounceType.HARD and kind is Kind.FAILED and reason not in VAGUE_AT_SES
    )


VAGUE_AT_SES = {Reason.UNDETERMINED, Reason.PROTOCOL_ERROR}


@pytest.mark.parametrize("kind", Kind)
def test_kinds(kind):
    names = map_kind(kind)
    assert known(names)
    assert names["two_type"] is None


@pytest.mark.parametrize(
    "reason, bounce_type, ses, postmark, sparkpost",
    [
        ("user_unknown", "hard", "Permanent/NoEmail", "HardBounce", 10),
        ("user_unknown", "soft", "Transient/General", "SoftBounce", 20),
        ("mailbox_full", "soft", "Transient/MailboxFull", "SoftBounce", 22),
        ("rate_limited", "soft", "Transient/General", "Transient", 70),
        ("rate_limited", "block", "Transient/General", "Blocked", 50),
        ("suppressed_upstream", "hard", "Permanent/Suppressed", "ManuallyDeactivated", 25),
        ("prohibited_attachment", "block", "Transient/AttachmentRejected", "Blocked", 53),
        ("undetermined", "undetermined", "Undetermined/Undetermined", "Unknown", 1),
    ],
)
def test_some_reasons(reason, bounce_type, ses, postmark, sparkpost):
    names = map_reason(Reason(reason), BounceType(bounce_type))
    assert f"{names['ses']['type']}/{names['ses']['subtype']}" == ses
    assert (names["postmark"]["name"], names["sparkpost"]["code"]) == (postmark, sparkpost)


def test_no_block_is_hard_anywhere():
    for reason, (bounce_type, _) in REASONS.items():
        names = map_reason(reason, bounce_type)
        if bounce_type is not BounceType.HARD:
            assert (names["ses"]["type"] == "Permanent", names["two_type"]) == (False, "soft")
            assert names["postmark"]["name"] not in {"HardBounce", "BadEmailAddress"}
            assert names["sparkpost"]["code"] not in {10, 30}


def test_a_complaint_keeps_its_type():
    assert map_kind(Kind.COMPLAINT, "fraud")["ses"]["type"] == "fraud"
    assert map_kind(Kind.COMPLAINT, "opt-out")["ses"]["type"] == "other"


def test_the_schema_names_them_all():
    told = SCHEMA["$defs"]["mappings"]["properties"]
    assert list(told) == SYSTEMS
    printed = [
        *(map_reason(reason, kind) for reason in Reason for kind in BounceType),
        *(map_reason(reason, BounceType.SOFT, Kind.DELAYED) for reason in Reason),
        *map(map_kind, Kind),
    ]
    for system in ("powermta", "kumomta", "sisimai"):
        assert set(told[system]["enum"]) == {names[system] for names in printed} | {None}
    assert told["postmark"]["properties"]["name"]["enum"] == list(POSTMARK)
    assert told["sparkpost"]["properties"]["code"]["enum"] == list(SPARKPOST)
    types = {*SES_BOUNCES, *SES_DELAYS, *SES_COMPLAINTS, None}
    assert set(told["ses"]["properties"]["type"]["enum"]) == types


def test_parse_tells_them_on_request_only(cli, tmp_path, write_dsn):
    path = tmp_path / "a.eml"
    path.write_bytes(write_dsn(others=("eve@example.net",)))
    plain, asked = (json.loads(cli("parse", *more, path)[1]) for more in ([], ["--mappings"]))
    assert asked.pop("mappings") is None
    names = [recipient.pop("mappings") for recipient in asked["recipients"]]
    assert asked == plain
    assert [one["sisimai"] for one in names] == ["userunknown"] * 2
    path.write_bytes(
        b"From: a@example.net\nSubject: Out of office\nAuto-Submitted: auto-replied\n\nI am away.\n"
    )
    reply = json.loads(cli("parse", "--mappings", path)[1])
    assert (reply["kind"], reply["mappings"]["sparkpost"]["name"]) == ("auto_reply", "Auto-Reply")


def test_explain_tells_them_on_request_only(cli):
    reply = ("explain", "--reply", "550 5.1.1 user unknown")
    assert "Postmark" not in cli(*reply)[1]
    assert "\n  Postmark calls it: HardBounce (1)\n" in cli(*reply, "--mappings")[1]
    assert json.loads(cli(*reply, "--json", "--mappings")[1])["mappings"]["powermta"] == "bad-mailbox"
