"""The code tables are complete: every registered enhanced status code, every reply code met."""

import pytest

from dsn_processor.classify.reading import expand_status
from dsn_processor.classify.rules import load
from dsn_processor.terms import BounceType, Reason

#: IANA, SMTP Enhanced Status Codes: the subjects, and the last detail registered in each.
REGISTERED = {
    0: range(1),
    1: range(11),
    2: range(5),
    3: range(7),
    4: range(8),
    5: range(7),
    6: range(11),
    7: range(31),
}
REPLIES = [421, 450, 451, 452, 454, 455, *range(500, 505), 521, 523, 530, 534, 535, 538, *range(550, 557)]


@pytest.mark.parametrize("class_", "45")
def test_every_registered_enhanced_code_is_known(class_):
    codes = load().codes
    assert [
        f"{class_}.{subject}.{detail}"
        for subject, details in REGISTERED.items()
        for detail in details
        if f"status:{class_}.{subject}.{detail}" not in codes
    ] == []


def test_every_common_reply_code_is_known():
    assert [code for code in REPLIES if f"reply:{code}" not in load().codes] == []


def test_reply_codes_alone_never_suppress():
    sure = [code for code, one in load().codes.items() if code.startswith("reply:") and one.confidence >= 0.9]
    assert sure == []


def test_a_full_mailbox_is_soft_on_5xx_too():
    assert load().codes["status:5.2.2"].reason is Reason.MAILBOX_FULL


def test_no_code_of_class_4_is_hard():
    hard = [
        code
        for code, one in load().codes.items()
        if code.startswith("status:4") and one.bounce_type is BounceType.HARD
    ]
    assert hard == []


def test_codes_are_written_singly_in_both_classes_or_as_a_range():
    assert expand_status("5.7.1") == ("5.7.1",)
    assert expand_status("x.7.1") == ("4.7.1", "5.7.1")
    assert expand_status("5.7.606-608") == ("5.7.606", "5.7.607", "5.7.608")
    for wrong in ("2.1.5", "5.7", "5.7.x", "nonsense"):
        with pytest.raises(ValueError):  # noqa: PT011
            expand_status(wrong)
