"""Who hears what, and when; what an operator may write."""

from dataclasses import replace

import pytest
from notify.formats.samples import AT, SAMPLES

from dsn_processor.errors import ConfigurationError, SettingsError
from dsn_processor.notify.notification import EventType, Notification
from dsn_processor.notify.people.options import NotifyOptions
from dsn_processor.notify.people.wanting import OCCASIONS, due_at, types_on, wanted
from dsn_processor.settings.load import load

URL = "json://user:hunter2@127.0.0.1:9/hook"
OPTIONS = NotifyOptions(name="team", urls=(URL,))


@pytest.mark.parametrize(
    "name, told",
    [
        ("hard", 1),
        ("block", 1),
        ("complaint", 1),
        ("soft", 0),
        ("delayed", 0),
        ("delivered", 0),
        ("suppressed", 0),
        ("test", 1),
    ],
)
def test_by_default_what_needs_somebody_is_told(name, told):
    assert wanted(OPTIONS.filters, SAMPLES[name]) is bool(told)


def test_filters_narrow():
    for changes, hard, block in [
        ({"on": ("block",)}, False, True),
        ({"reasons": ("ip_blocklisted",)}, False, True),
        ({"reasons": ("user_unknown",)}, True, False),
        ({"streams": ("transactional",)}, True, True),
        ({"streams": ("newsletter",)}, False, False),
        ({"tags": ("plan",)}, True, True),
        ({"tags": ("plan=free", "plan=pro")}, True, True),
        ({"tags": ("plan=free",)}, False, False),
        ({"tags": ("color",)}, False, False),
    ]:
        filters = replace(OPTIONS, **changes).filters
        assert (wanted(filters, SAMPLES["hard"]), wanted(filters, SAMPLES["block"])) == (hard, block)


def test_a_wave_or_alert_is_of_no_stream_and_told_all_the_same():
    for type_ in (EventType.DOMAIN_HELD, EventType.SENDER_BLOCKED):
        held = Notification(id="m", type=type_, at=AT, address="", data={"subject": "example.net"})
        assert wanted(
            replace(OPTIONS, streams=("newsletter",), tags=("a",), reasons=("mailbox_full",)).filters, held
        )
        assert not wanted(replace(OPTIONS, on=("block",)).filters, held)


def test_every_occasion_is_of_some_type():
    assert types_on(OCCASIONS)
    assert types_on(("block", "hard_bounce")) == (EventType.BOUNCE_FAILED, EventType.BOUNCE_DELAYED)


def test_a_digest_is_due_at_its_hour():
    hard, morning = SAMPLES["hard"], 20_000 * 86_400.0
    at = lambda **changes: due_at(replace(OPTIONS, **changes).filters, hard, morning + 7 * 3600 + 61.5)  # noqa: E731
    assert at() == morning + 7 * 3600 + 61.5
    assert at(digest="hourly") == morning + 8 * 3600
    assert at(digest="daily") == morning + 8 * 3600
    assert at(digest="daily", digest_hour=7) == morning + (24 + 7) * 3600
    assert at(digest="daily", digest_hour=0) == morning + 24 * 3600
    assert due_at(replace(OPTIONS, digest="daily").filters, SAMPLES["test"], morning) == morning


def read(tmp_path, text, environ=None):
    path = tmp_path / "one.toml"
    path.write_text(text)
    return load(str(path), environ=environ or {})


def test_a_notify_is_read_from_file_and_variables(tmp_path):
    urls = tmp_path / "urls"
    urls.write_text(f"# the team\n{URL}\n\nmailto://example.com\n")
    text = (
        f'[[notify]]\nname = "team"\nurls_file = "{urls}"\ndigest = "hourly"\n[[notify]]\nname = "on-call"\n'
    )
    variables = {
        "DSN_PROCESSOR__NOTIFY__ON_CALL__URLS": URL,
        "DSN_PROCESSOR__NOTIFY__ON_CALL__ON": "held, quarantine",
    }
    team, on_call = read(tmp_path, text, variables).settings.notify
    assert team.targets() == (URL, "mailto://example.com")
    assert (team.digest, on_call.on, on_call.urls) == ("hourly", ("held", "quarantine"), (URL,))
    assert "hunter2" not in repr(on_call)


@pytest.mark.parametrize(
    "line, why",
    [
        (
            'message = "${nobody}"',
            r"line 3: notify.team.message: ..nobody. stands for nothing: there are email, ",
        ),
        ('title = "5 $ each"', r"line 3: notify.team.title: a \$ has to be the beginning"),
        ('on = ["bounces"]', r"notify.team.on has 'bounces': write some of hard_bounce"),
        ("on = []", "on is empty"),
        ('reasons = ["gone"]', "reasons has 'gone'"),
        ('digest = "weekly"', "'none', 'hourly' or 'daily'"),
        ("digest_hour = 24", "digest_hour has to be from 0 to 23"),
        ('urls_file = "x"', "urls and urls_file are both set"),
        ('url = "x"', "there is no key notify.team.url: did you mean notify.team.urls?"),
        ('[notify.oauth2]\nprovider = "google"', "there is no key notify.team.oauth2.provider"),
    ],
)
def test_mistakes_are_told_with_their_place(tmp_path, line, why):
    with pytest.raises(SettingsError, match=why):
        read(
            tmp_path,
            f'[[notify]]\nurls = ["{URL}"]\n{line}\nname = "team"\n'
            if line[0] != "["
            else f'[[notify]]\nurls = ["{URL}"]\nname = "team"\n{line}\n',
        )


def test_a_wrong_url_is_told_without_its_secret(tmp_path):
    with pytest.raises(SettingsError, match="urls has no Apprise URL in place 2") as caught:
        read(tmp_path, f'[[notify]]\nname = "team"\nurls = ["{URL}", "hunter2@example.com"]\n')
    assert "hunter2" not in str(caught.value)
    urls = tmp_path / "urls"
    urls.write_text("hunter2\n")
    with pytest.raises(ConfigurationError, match="place 1") as wrong:
        NotifyOptions(name="team", urls_file=str(urls)).targets()
    assert "hunter2" not in str(wrong.value)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        NotifyOptions(name="team", urls_file=str(tmp_path / "none")).targets()


def test_secrets_are_not_shown(tmp_path, capsys):
    from dsn_processor.cli import main

    path = tmp_path / "one.toml"
    path.write_text(f'[[notify]]\nname = "team"\nurls = ["{URL}"]\n')
    assert main(["config", "show", "--config", str(path)]) == 0
    out = capsys.readouterr().out
    assert "[[notify]]" in out
    assert "hunter2" not in out
