"""When to try again, and what to do."""

from datetime import UTC, datetime, timedelta

import pytest

from dsn_processor.policy.options import PolicyOptions
from dsn_processor.policy.schedule import PRESETS, Trouble, advise, schedule
from dsn_processor.terms import REASONS, Advice, BounceType, Kind, Reason

START = datetime(2026, 1, 1, tzinfo=UTC)


def trouble(*seconds, reason=Reason.MAILBOX_FULL, kind=Kind.FAILED, scope=None, since=0, bounce_type=None):
    times = tuple(START + timedelta(seconds=one) for one in seconds)
    own_type, own_scope = REASONS[reason]
    return Trouble(
        kind, bounce_type or own_type, reason, scope or own_scope, START + timedelta(seconds=since), times
    )


def test_the_seed_schedule():
    seed = schedule("seed")
    assert seed.delays == (0, 300, 1800, 7200, 28800)
    assert seed.totals == (0, 300, 2100, 9300, 38100)


def test_presets():
    assert len(PRESETS["industry"]) == 5
    assert [total for total in schedule("industry").totals if total <= 86_400] == [0, 14_400, 43_200]
    assert schedule("industry").totals[-1] == schedule("window72").totals[-1] == 72 * 3600
    assert schedule("0s/5m/30m").delays == (0, 300, 1800)


@pytest.mark.parametrize("words", ["", "5m/10m", "sometimes", "0s/soon"])
def test_what_is_no_schedule(words):
    with pytest.raises(ValueError, match="is no schedule"):
        schedule(words)


@pytest.mark.parametrize("made", range(1, 5))
def test_each_attempt_names_the_next(made):
    totals = schedule("seed").totals
    told = advise(trouble(*totals[:made]), schedule("seed"))
    assert (told.attempt, told.final, told.exhausted) == (made, True, False)
    assert told.next_retry_at == START + timedelta(seconds=totals[made])
    assert told.advice is Advice.WAIT_AND_RETRY


def test_after_five_it_is_over():
    full = advise(trouble(*schedule("seed").totals), schedule("seed"))
    assert (full.exhausted, full.effective_type, full.next_retry_at) == (True, BounceType.HARD, None)
    assert full.advice is Advice.VERIFY_OR_REMOVE
    down = advise(trouble(*schedule("seed").totals, reason=Reason.SERVER_UNAVAILABLE), schedule("seed"))
    assert (down.exhausted, down.effective_type, down.advice) == (
        True,
        BounceType.SOFT,
        Advice.RESEND_MANUALLY,
    )


@pytest.mark.parametrize("seconds, planned", [(38_100, True), (38_101, False)])
def test_what_the_mta_tried_for_longer_is_not_planned(seconds, planned):
    told = advise(trouble(seconds, since=0), schedule("seed"))
    assert (told.next_retry_at is not None) == planned
    assert told.exhausted is False
    assert told.advice is (Advice.WAIT_AND_RETRY if planned else Advice.RESEND_MANUALLY)


@pytest.mark.parametrize("reason", list(Reason))
def test_each_reason_has_its_advice(reason):
    told = advise(trouble(0, reason=reason), schedule("seed"))
    if REASONS[reason][0] is BounceType.HARD:
        assert told.advice is Advice.VERIFY_OR_REMOVE
    assert (told.advice is Advice.NONE) == (reason is Reason.UNDETERMINED)
    assert told.next_retry_at is None or told.advice in {Advice.WAIT_AND_RETRY, Advice.SLOW_DOWN}


def test_a_delay_is_the_mtas_to_try_again():
    told = advise(trouble(0, kind=Kind.DELAYED), schedule("seed"))
    assert (told.final, told.next_retry_at, told.exhausted) == (False, None, False)


def test_a_domain_may_have_its_own():
    options = PolicyOptions(retries="industry", domain_retries=("example.net=0s/1m",))
    assert options.schedule_of("example.net").delays == (0, 60)
    assert options.schedule_of("example.com").delays == PRESETS["industry"]


@pytest.mark.parametrize(
    "given",
    [
        {"mode": "lax"},
        {"modes": ("fax=open",)},
        {"modes": ("imap",)},
        {"confidence": 1.5},
        {"strikes": 0.0},
        {"tiers": ()},
        {"tiers": ("soon",)},
        {"hard_tiers": ("0s",)},
        {"retries": "never"},
        {"domain_retries": ("example.net",)},
        {"domain_retries": ("example.net=never",)},
        {"wave_least": -1},
    ],
)
def test_options_that_mean_nothing(given):
    with pytest.raises(ValueError, match=next(iter(given)).removeprefix("domain_")):
        PolicyOptions(**given)
