"""What is counted is documented, whole, and safe to read."""

import math
import re
from pathlib import Path

import pytest
from prometheus_client import Gauge
from prometheus_client.parser import text_string_to_metric_families

from dsn_processor import metrics
from dsn_processor.server.following import AccountMetrics

DOC = (Path(__file__).parent.parent / "docs/metrics.md").read_text("utf-8")
ROW = re.compile(r"^\| `(dsn_processor_\w+)` \| (\w+) \| ([\w, ]*) ?\|", re.MULTILINE)


def families():
    page, _ = metrics.page()
    return {family.name: family for family in text_string_to_metric_families(page.decode())}


def documented():
    """Name as the parser gives it -> (type, labels)."""
    return {
        name.removesuffix("_total"): (kind, {label for label in labels.replace(" ", "").split(",") if label})
        for name, kind, labels in ROW.findall(DOC)
    }


def test_every_metric_is_documented_with_its_type_and_labels():
    metrics.PROCESSED.labels("failed")
    metrics.EVENTS.labels("failed", "hard", "user_unknown")
    AccountMetrics().expect(["bounces"])
    metrics.WEBHOOK_ATTEMPTS.labels("shop", "delivered")
    there = {
        name: (
            family.type,
            {label for sample in family.samples for label in sample.labels} - {"le"},
        )
        for name, family in families().items()
        if name.startswith("dsn_processor_")
    }
    assert there == documented()
    assert all(family.documentation for family in families().values())


@pytest.mark.parametrize("words", [metrics.Refused, metrics.Fault, metrics.Restart])
def test_every_word_is_documented(words):
    assert {word.value for word in words} <= set(re.findall(r"`(\w+)`", DOC))


def test_alarms_name_metrics_there_are():
    alarms = DOC.rpartition("```\n")[0].rpartition("```\n")[2]
    names = {
        re.sub(r"_(total|bucket|sum|count)\Z", "", name) for name in re.findall(r"dsn_processor_\w+", alarms)
    }
    assert names
    assert names <= set(families())


def test_known_series_stand_at_zero_before_the_first_one():
    page = metrics.page()[0].decode()
    for listener in metrics.LISTENERS:
        for cause in metrics.Refused:
            assert f'dsn_processor_refused_total{{cause="{cause}",listener="{listener}"}} ' in page
    assert 'dsn_processor_store_faults_total{kind="full"} ' in page
    assert "_created" not in page


def test_counting_shows():
    accepted = metrics.ACCEPTED.labels("lmtp")
    before = accepted._value.get()
    accepted.inc()
    assert f'dsn_processor_mails_accepted_total{{listener="lmtp"}} {before + 1}' in metrics.page()[0].decode()


def test_a_figure_that_cannot_be_told_does_not_hide_the_others():
    def gone():
        raise OSError("no such folder")

    gauge = Gauge("dsn_processor_for_this_test", "x", registry=None)
    metrics.observe(gauge, gone)
    [sample] = next(iter(gauge.collect())).samples
    assert math.isnan(sample.value)
    metrics.observe(gauge, lambda: 7)
    [sample] = next(iter(gauge.collect())).samples
    assert sample.value == 7
