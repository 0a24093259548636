"""Addresses by the numbers, at frozen times."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsn_processor.policy.fold import TOO_MANY, fold
from dsn_processor.policy.happenings import Attempt, Happening, Known, ManualAct, Success
from dsn_processor.policy.options import PolicyOptions
from dsn_processor.terms import (
    REASONS,
    Act,
    BounceType,
    Deliverability,
    Kind,
    Mode,
    Reason,
    Scope,
    SuppressionKind,
    Trust,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
DEFAULT = PolicyOptions()


def at(days=0.0, seconds=0):
    return START + timedelta(days=days, seconds=seconds)


def failure(number=1, reason=Reason.MAILBOX_FULL, days=0.0, **more):
    bounce_type, scope = REASONS[reason]
    return Happening(
        **{
            "identity": f"e{number}",
            "at": at(days),
            "kind": Kind.FAILED,
            "about": f"m{number}",
            "mode": Mode.STRICT,
            "trust": Trust.SIGNED,
            "bounce_type": bounce_type,
            "reason": reason,
            "scope": scope,
            "confidence": 0.95,
            **more,
        }
    )


def state(*what, options=DEFAULT):
    return fold(
        Known(
            "bob@example.net",
            tuple(one for one in what if isinstance(one, Happening)),
            tuple(one for one in what if isinstance(one, Success)),
            tuple(one for one in what if isinstance(one, ManualAct)),
        ),
        options,
    )


def act(act, days, **more):
    return ManualAct(f"a{days}", at(days), act, "ann", "asked", **more)


def test_nothing():
    assert state().deliverability is Deliverability.OK


@pytest.mark.parametrize("reason", list(Reason))
def test_what_suppresses_at_once(reason):
    suppressed = bool(state(failure(reason=reason)).suppressions)
    bounce_type, scope = REASONS[reason]
    assert suppressed == (bounce_type is BounceType.HARD)
    assert not suppressed or scope in {Scope.RECIPIENT, Scope.DOMAIN}


def test_a_hard_bounce_is_for_good():
    found = state(failure(reason=Reason.USER_UNKNOWN))
    [one] = found.suppressions
    assert (one.kind, one.until, one.reason) == (SuppressionKind.BOUNCE, None, "Hard bounce: user_unknown")
    assert found.deliverability is Deliverability.UNDELIVERABLE


@pytest.mark.parametrize("confidence, suppressed", [(0.9, True), (0.89, False)])
def test_less_sure_is_one_strike(confidence, suppressed):
    found = state(failure(reason=Reason.USER_UNKNOWN, confidence=confidence))
    assert bool(found.suppressions) == suppressed
    assert found.strikes == 1.0


@pytest.mark.parametrize("scope", [Scope.SENDER, Scope.MESSAGE, Scope.INFRASTRUCTURE, Scope.UNKNOWN])
@pytest.mark.parametrize("reason", [Reason.USER_UNKNOWN, Reason.MAILBOX_FULL, Reason.SERVER_UNAVAILABLE])
def test_what_is_not_about_the_address_never_counts(scope, reason):
    assert state(*(failure(n, reason, n, scope=scope) for n in range(100))) == state()


def test_a_domain_suppresses_only_where_it_is_gone():
    assert state(failure(reason=Reason.USER_UNKNOWN, scope=Scope.DOMAIN)).strikes == 1.0
    assert not state(failure(reason=Reason.USER_UNKNOWN, scope=Scope.DOMAIN)).suppressions


def test_a_block_never_counts_though_it_names_the_recipient():
    blocks = [failure(n, Reason.RECIPIENT_RESTRICTED, n) for n in range(50)]
    assert state(*blocks) == state()


@pytest.mark.parametrize("number, suppressed", [(4, False), (5, True)])
def test_five_full_mailboxes_in_a_row(number, suppressed):
    found = state(*(failure(n, days=n / 24) for n in range(number)))
    assert bool(found.suppressions) == suppressed
    if suppressed:
        assert found.suppressions[0].reason == TOO_MANY == "Too many soft bounces"
        assert found.suppressions[0].until == found.suppressions[0].at + timedelta(days=1)
    else:
        assert found.deliverability is Deliverability.AT_RISK


@pytest.mark.parametrize("number, suppressed", [(9, False), (10, True)])
def test_servers_get_twice_the_patience(number, suppressed):
    down = [failure(n, Reason.SERVER_UNAVAILABLE, n / 24, scope=Scope.DOMAIN) for n in range(number)]
    assert bool(state(*down).suppressions) == suppressed


@pytest.mark.parametrize("days, suppressed", [((0, 15, 29.9), False), ((0, 15, 30), True), ((0, 30), False)])
def test_three_over_thirty_days(days, suppressed):
    found = state(*(failure(n, days=day) for n, day in enumerate(days)))
    assert bool(found.suppressions) == suppressed


def test_a_success_between_takes_strikes_away():
    four = [failure(n, days=n) for n in range(4)]
    found = state(*four, Success("s", at(3.5), "m99"), failure(9, days=4))
    assert (found.strikes, found.suppressions) == (1.0, ())
    assert found.last_success_at == at(3.5)


def test_a_message_that_failed_after_all_was_no_success():
    failures = [failure(n, days=n) for n in range(5)]
    taken = [Success(f"s{n}", at(n, seconds=-5), f"m{n}") for n in range(5)]
    assert state(*failures, *taken).suppressions


def test_one_message_is_one_strike():
    found = state(*(failure(n, about="m", days=n) for n in range(100)))
    assert (found.strikes, found.messages) == (1.0, 1)


def test_tiers_24_hours_14_days_for_good():
    first = [failure(n) for n in range(5)]
    untils = []
    for days in ((), (1.5,), (1.5, 16)):
        found = state(*first, *(failure(10 + n, days=day) for n, day in enumerate(days)))
        untils.append(found.suppressions[0].until)
    assert untils == [at(1), at(15.5), None]


def test_what_comes_while_suppressed_is_no_further_tier():
    found = state(*(failure(n, days=n / 100) for n in range(20)))
    assert found.suppressions[0].tier == 1


def test_a_success_takes_a_tier_back():
    found = state(
        *(failure(n) for n in range(5)),
        Success("s", at(2), "m90"),
        *(failure(10 + n, days=3) for n in range(5)),
    )
    assert (found.suppressions[0].tier, found.suppressions[0].until) == (1, at(4))


def test_tiers_are_what_is_configured():
    options = PolicyOptions(tiers=("2d",), hard_tiers=("1h", "permanent"))
    hard = failure(reason=Reason.USER_UNKNOWN)
    assert state(*(failure(n) for n in range(5)), options=options).suppressions[0].until == at(2)
    assert state(hard, options=options).suppressions[0].until == at(seconds=3600)
    again = failure(2, Reason.USER_UNKNOWN, 1)
    assert state(hard, again, options=options).suppressions[0].until is None


def test_five_attempts_at_one_message():
    times = [Attempt(at(seconds=total), Trust.SIGNED) for total in (0, 300, 2100, 9300, 38100)]
    assert not state(failure(attempts=tuple(times[:4]))).suppressions
    [one] = state(failure(attempts=tuple(times))).suppressions
    assert (one.reason, one.until, one.at) == ("Every attempt failed: mailbox_full", None, at(seconds=38100))
    domain = failure(reason=Reason.DNS_FAILURE, attempts=tuple(times))
    assert not state(domain).suppressions


def test_forged_repetitions_are_no_attempts():
    times = tuple(Attempt(at(seconds=n), Trust.UNPROVED) for n in range(1, 50))
    assert state(failure(attempts=times)).suppressions == ()


@pytest.mark.parametrize(
    "kind", [Kind.DELAYED, Kind.AUTO_REPLY, Kind.DISPOSITION, Kind.CHALLENGE, Kind.EXPANDED, Kind.RELAYED]
)
def test_other_reports_never_count(kind):
    assert state(*(failure(n, kind=kind, reason=Reason.USER_UNKNOWN) for n in range(100))) == state()


@pytest.mark.parametrize("finding", ["late", "mailing_list"])
def test_late_reports_and_lists_never_count(finding):
    assert state(*(failure(n, Reason.USER_UNKNOWN, n, **{finding: True}) for n in range(100))) == state()


@pytest.mark.parametrize(
    "feedback, suppressed",
    [
        ("abuse", True),
        ("fraud", True),
        ("virus", True),
        ("opt-out", True),
        ("not-spam", False),
        ("auth-failure", False),
        ("other", False),
    ],
)
def test_complaints(feedback, suppressed):
    complaint = Happening("c", at(), Kind.COMPLAINT, "m", Mode.STRICT, Trust.MATCHED, feedback_type=feedback)
    found = state(complaint)
    assert [one.kind for one in found.suppressions] == [SuppressionKind.COMPLAINT] * suppressed
    assert found.deliverability is Deliverability.OK


@pytest.mark.parametrize("trust", list(Trust))
@pytest.mark.parametrize("mode", list(Mode))
def test_modes(mode, trust):
    found = state(failure(reason=Reason.USER_UNKNOWN, mode=mode, trust=trust))
    proven = trust in {Trust.SIGNED, Trust.MATCHED}
    if mode is Mode.OPEN or (mode is Mode.STRICT and proven):
        assert [one.proposed for one in found.suppressions] == [False]
    elif mode is Mode.OBSERVE:
        assert [one.proposed for one in found.suppressions] == [True]
        assert found.deliverability is Deliverability.OK
    else:
        assert found == state()


def test_what_is_proposed_can_be_accepted_or_rejected():
    seen = [failure(n, mode=Mode.OBSERVE) for n in range(5)]
    [accepted] = state(*seen, act(Act.ACCEPT, 10)).suppressions
    assert (accepted.proposed, accepted.author, accepted.at, accepted.until) == (False, "ann", at(10), at(11))
    assert state(*seen, act(Act.REJECT, 10)).suppressions == ()
    assert state(*seen, act(Act.REJECT, 10), failure(9, mode=Mode.OBSERVE, days=11)).suppressions == ()


def test_what_somebody_adds_and_removes():
    added = act(Act.ADD, 1, kind=SuppressionKind.MANUAL)
    [one] = state(added).suppressions
    assert (one.kind, one.author, one.reason) == (SuppressionKind.MANUAL, "ann", "asked")
    assert state(added, act(Act.REMOVE, 2)).suppressions == ()
    hard = failure(reason=Reason.USER_UNKNOWN)
    assert state(hard, act(Act.REMOVE, 2)) == state()._replace(suppressions=())
    assert state(hard, act(Act.REMOVE, 2), failure(2, Reason.USER_UNKNOWN, 3)).suppressions


def test_a_success_does_not_end_what_is_for_good():
    assert state(failure(reason=Reason.USER_UNKNOWN), Success("s", at(2), "m9")).suppressions
    assert not state(*(failure(n) for n in range(5)), Success("s", at(0.5), "m9")).suppressions


WHAT = st.lists(
    st.one_of(
        st.builds(
            failure,
            st.integers(0, 9),
            st.sampled_from(
                [Reason.USER_UNKNOWN, Reason.MAILBOX_FULL, Reason.DNS_FAILURE, Reason.IP_BLOCKLISTED]
            ),
            st.integers(0, 60),
            mode=st.sampled_from(list(Mode)),
            trust=st.sampled_from(list(Trust)),
        ),
        st.builds(lambda n, day: Success(f"s{n}", at(day), f"m{n}"), st.integers(0, 20), st.integers(0, 60)),
        st.builds(act, st.sampled_from(list(Act)), st.integers(0, 60)),
    ),
    max_size=25,
    unique_by=lambda one: one.identity,
)


@given(WHAT, st.randoms())
def test_the_order_does_not_matter(what, chance):
    before = state(*what)
    chance.shuffle(what)
    assert state(*what) == before


@given(WHAT)
def test_observing_changes_nothing(what):
    observed = [one for one in what if isinstance(one, Happening)]
    found = state(*(one._replace(mode=Mode.OBSERVE) for one in observed))
    assert found.strikes == 0.0
    assert found.deliverability is Deliverability.OK
    assert all(one.proposed for one in found.suppressions)
