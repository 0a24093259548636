"""A confidence of 0.9 is to be acted on: it must be right, never wrongly hard, and common (docs/calibration.md)."""

import importlib.util
from pathlib import Path

import pytest

HERE = Path(__file__).parent

_spec = importlib.util.spec_from_file_location("calibration", HERE.parent / "calibration.py")
calibration = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(calibration)


@pytest.fixture(scope="module")
def answers():
    return list(calibration.answers(HERE.parents[1] / "fixtures_eml"))


def test_sure_answers_are_right_and_common(answers):
    sure = [one for one in answers if one.confidence >= calibration.SURE]
    assert len(sure) >= 0.75 * len(answers)
    assert sum(one.said in one.right for one in sure) >= 0.99 * len(sure)


def test_no_sure_hard_is_wrong(answers):
    wrong = [one for one in answers if one.confidence >= calibration.SURE and one.said == "hard"]
    assert [one for one in wrong if "hard" not in one.right] == []


def test_replies_and_a_corpus_are_read_too(tmp_path):
    replies = tmp_path / "replies.jsonl"
    replies.write_text('{"reply": "550 5.1.1 user unknown", "bounce_type": ["hard"]}\n')
    assert [one.said in one.right for one in calibration.answers(replies)] == [True]
    (tmp_path / "mails").mkdir()
    mail = HERE.parents[1] / "fixtures_eml/malformed/action-error.eml"
    (tmp_path / "mails" / "a.eml").write_bytes(mail.read_bytes())
    (tmp_path / "expected.jsonl").write_text(
        '{"file": "a.eml", "kind": ["failed"], "recipients": [{"address": "nobody@missing.example", "bounce_type": ["soft"]}]}\n'
    )
    found = list(calibration.answers(tmp_path))
    assert [(one.confidence, one.said) for one in found] == [(0.0, None)]
    assert "| 0.0 to 0.5 | 1 | 0 | 0.0 % |" in calibration.table("a", found)
