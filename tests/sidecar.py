"""Hold what the program read in a fixture to the outcome expected of it, kept beside it: fixtures_eml/README.md."""

import difflib
import json

SUFFIX = ".expected.json"


def sidecar_of(eml):
    return eml.with_name(eml.name.removesuffix(".eml") + SUFFIX)


def outcome(reading):
    """The short outcome of a reading, in the words and the order that sidecars use."""
    parsed = reading.parsed
    return {
        "kind": parsed.kind.value,
        "recipients": [_recipient(*pair) for pair in zip(parsed.recipients, reading.verdicts, strict=True)],
        "reporting_mta": parsed.reporting_mta,
        "returned_message_id": parsed.returned_message and parsed.returned_message.message_id,
        "feedback_type": parsed.feedback and parsed.feedback.feedback_type,
        "defects": [defect.code for defect in parsed.defects],
    }


def _recipient(recipient, verdict):
    return {
        "address": recipient.address,
        "original": recipient.original,
        "action": recipient.action and recipient.action.value,
        "status": recipient.status,
        "reply_code": recipient.reply_code,
        "bounce_type": verdict and verdict.bounce_type.value,
        "reason": verdict and verdict.reason.value,
    }


def mismatch(eml, reading):
    """ "" where the reading is as expected, else a diff; what was read is then left in a ``.got`` beside the mail."""
    expected = json.loads(sidecar_of(eml).read_text("utf-8"))
    expected = {key: value for key, value in expected.items() if key not in {"origin", "why"}}
    got = _as_expected(expected, outcome(reading))
    if got == expected:
        return ""
    eml.with_suffix(".got").write_text(_pretty(outcome(reading)) + "\n", "utf-8")
    return "\n".join(
        difflib.unified_diff(
            _pretty(expected).split("\n"), _pretty(got).split("\n"), "expected", "got", lineterm="", n=99
        )
    )


def _as_expected(expected, got):
    """``got`` cut to the keys that ``expected`` names, with its alternatives wherever one of them was met."""
    result = {}
    for key, wanted in expected.items():
        if key == "recipients":
            result[key] = _recipients_as_expected(wanted, got[key])
        elif key == "defects":
            result[key] = [code for code in wanted if code in got[key]]
        elif isinstance(wanted, list) and got[key] in wanted:
            result[key] = wanted
        else:
            result[key] = got[key]
    return result


def _recipients_as_expected(wanted, got):
    """Recipients in the order of the expectation, which does not depend on the order of the report."""
    by_address = {recipient["address"]: recipient for recipient in wanted}
    known = sorted(
        (recipient for recipient in got if recipient["address"] in by_address),
        key=lambda recipient: list(by_address).index(recipient["address"]),
    )
    strangers = [recipient for recipient in got if recipient["address"] not in by_address]
    return [_as_expected(by_address[recipient["address"]], recipient) for recipient in known] + strangers


def _pretty(value):
    return json.dumps(value, ensure_ascii=False, indent=1)
