"""What `poll` does with the mails of an IMAP account, against a real server."""

import json

import pytest
from mailboxes.dovecot import Dovecot
from mailboxes.poller import Poller, account, ask, faults, letter, report, stored

from dsn_processor.parse.identity import identity


@pytest.fixture
def poll(tmp_path, dovecot, user):
    """``poll(after="move", ...)``: a poller of the user's account."""

    def made(**options):
        return Poller(tmp_path, account(dovecot, user, **options))

    return made


def well(ran):
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_reports_are_stored_and_flagged_and_letters_left_as_they_are(dovecot, user, poll):
    dovecot.put(user, [report(0), letter(), report(1)])
    poller = poll()
    well(poller.once())
    assert faults(poller.database, 2) == []
    assert dovecot.count(user, "INBOX", "KEYWORD", "$Processed") == 2
    assert dovecot.count(user, "INBOX", "UNSEEN") == 3
    assert ask(poller.database, "SELECT identity FROM left_mail") == [(identity(letter()),)]


def test_another_look_adds_nothing_and_fetches_nothing(dovecot, user, poll):
    dovecot.put(user, [report(0), letter()])
    poller = poll()
    well(poller.once())
    said = well(poller.once())
    assert said.startswith("0 mails")
    dovecot.put(user, [report(1), report(0)])
    well(poller.once())
    assert faults(poller.database, 2) == []
    assert dovecot.count(user, "INBOX", "KEYWORD", "$Processed") == 3  # the one met again, too


def test_letters_are_taken_where_that_is_asked_for(dovecot, user, poll):
    dovecot.put(user, [letter()])
    poller = poll(others="take")
    well(poller.once())
    assert ask(poller.database, "SELECT kind FROM report") == [("not_a_report",)]
    assert dovecot.count(user, "INBOX", "KEYWORD", "$Processed") == 1


def test_mails_are_moved_and_those_that_nobody_can_parse_to_a_folder_of_their_own(dovecot, user, poll):
    nameless = report(1).partition(b"Reporting-MTA")[0] + b"\n--b--\n"
    dovecot.put(user, [report(0), letter(), nameless])
    poller = poll(after="move", processed_folder="Done", unparsed_folder="Odd Ones")
    well(poller.once())
    assert sorted(ask(poller.database, "SELECT kind FROM report")) == [("failed",), ("unparsed",)]
    assert [dovecot.count(user, folder) for folder in ("INBOX", "Done", "Odd Ones")] == [1, 1, 1]


def test_mails_are_deleted_one_by_one(dovecot, user, poll):
    dovecot.put(user, [report(0), letter(0), letter(1)])
    dovecot.doveadm(
        "flags", "add", "-u", user, "\\Deleted", "mailbox", "INBOX", "HEADER", "Subject", "Lunch 1"
    )
    poller = poll(after="delete")
    well(poller.once())
    assert faults(poller.database, 1) == []
    assert dovecot.count(user) == 2  # a mail that somebody else marked as deleted is theirs


def test_keep_changes_nothing(dovecot, user, poll):
    dovecot.put(user, [report(0)])
    poller = poll(after="keep")
    well(poller.once())
    well(poller.once())
    assert faults(poller.database, 1) == []
    assert dovecot.count(user, "INBOX", "UNKEYWORD", "$Processed", "UNSEEN") == 1


def test_a_dry_run_changes_nothing_and_tells_what_there_is(dovecot, user, poll):
    dovecot.put(user, [report(0), letter()])
    poller = poll(after="delete")
    said = well(poller.once("--dry-run"))
    assert said.startswith("1 mail ")
    assert "dry run" in said
    assert not poller.database.exists()
    assert dovecot.count(user) == 2


def test_new_numbers_for_old_mails_add_nothing(dovecot, user, poll):
    dovecot.put(user, [*map(report, range(30)), letter()])
    poller = poll(batch=7)
    well(poller.once())
    dovecot.renumber(user)
    dovecot.put(user, [report(30)])
    well(poller.once())
    assert faults(poller.database, 31) == []
    assert dovecot.count(user, "INBOX", "KEYWORD", "$Processed") == 31
    assert ask(poller.database, "SELECT count(*) FROM left_mail") == [(1,)]


def test_the_same_mail_for_somebody_else_adds_the_recipient(dovecot, user, poll):
    """In one batch, and later; and it is read again with all of them."""
    mail = report(0)
    for_others = [mail.replace(b"bounces+0@", b"bounces+%d@" % number) for number in (1, 2)]
    dovecot.put(user, [mail, for_others[0]])
    poller = poll()
    well(poller.once())
    recipients = "SELECT envelope_recipients, state FROM message"
    [(told, state)] = ask(poller.database, recipients)
    assert (json.loads(told), state) == (["bounces+0@example.com", "bounces+1@example.com"], "processed")
    dovecot.put(user, [for_others[1], mail])
    well(poller.once())
    [(told, state)] = ask(poller.database, recipients)
    assert json.loads(told) == [f"bounces+{number}@example.com" for number in range(3)]
    assert state == "processed"
    assert ask(poller.database, "SELECT count(*) FROM recipient_event") == [(1,)]


def test_what_cannot_be_read_later_is_read_first(dovecot, user, poll):
    """A report in words alone might have been somebody's letter."""
    words = b"From: <>\nSubject: failure notice\n\nHi. This is the qmail-send program at mail.example.net.\nI'm afraid I wasn't able to deliver your message to the following addresses.\nThis is a permanent error; I've given up. Sorry it didn't work out.\n\n<gone@example.org>:\nSorry, no mailbox here by that name. (#5.1.1)\n"
    dovecot.put(user, [report(0), words, letter(), report(1)])
    poller = poll()
    well(poller.once())
    assert ask(poller.database, "SELECT kind FROM report") == [("failed",)] * 3
    assert ask(poller.database, "SELECT count(*) FROM left_mail") == [(1,)]
    assert dovecot.count(user, "INBOX", "KEYWORD", "$Processed") == 3


def test_of_a_large_mail_the_head_is_kept(dovecot, user, poll):
    large = report(0) + b"x" * 70 + b"\n" + b"more of the same, and more\n" * 10_000
    dovecot.put(user, [large, report(1)])
    poller = poll(size_limit=20_000)
    well(poller.once())
    assert sorted(ask(poller.database, "SELECT truncated, size > 10000, size <= 20000 FROM message")) == [
        (0, 0, 1),
        (1, 1, 1),
    ]
    assert ask(poller.database, "SELECT count(*) FROM recipient_event") == [(2,)]
    assert dovecot.count(user, "INBOX", "KEYWORD", "$Processed") == 2


def test_several_folders_are_read_and_one_that_is_gone_keeps_nobody_from_the_others(dovecot, user, poll):
    dovecot.put(user, [report(0)], "Bounces")
    dovecot.put(user, [report(1)])
    poller = poll(folders=["Bounces", "Gone", "INBOX"])
    ran = poller.once()
    assert ran.returncode == 1
    assert "Gone" in ran.stderr
    assert faults(poller.database, 2) == []
    shown = poller.run("accounts")
    assert shown.returncode == 1
    assert "fails" in shown.stdout
    dovecot.put(user, [report(2)], "Gone")
    well(poller.once())
    assert faults(poller.database, 3) == []
    assert "works" in well(poller.run("accounts"))
    assert f"{user} works" in poller.run("doctor").stdout


def test_mail_of_long_ago_is_left(dovecot, user, poll):
    dovecot.put(user, [report(0)])
    poller = poll(since="2099-01-01")
    well(poller.once())
    assert stored(poller.database) == 0


def test_a_refused_login_is_told_without_the_password(dovecot, user, poll):
    poller = poll(password="rather-wrong")
    ran = poller.once()
    assert ran.returncode == 1
    assert f"refuses the login of {user}" in ran.stderr
    shown = poller.run("accounts", "--json")
    assert "refuses the login" in shown.stdout
    assert "refuses the login" in poller.run("doctor").stdout
    assert "rather-wrong" not in ran.stdout + ran.stderr + shown.stdout + shown.stderr
    assert b"rather-wrong" not in poller.database.read_bytes()


def test_a_password_may_hold_what_imap_has_to_quote(tmp_path, user):
    password = 'p"a\\ss wörd{3}'
    with Dovecot(passdb="  driver = passwd-file\n  args = /dev/null") as dovecot:
        passwords = dovecot.folder / "passwords"
        passwords.write_text(f"{user}:{{PLAIN}}{password}\n")
        dovecot.configure(passdb=f"  driver = passwd-file\n  args = {passwords}")
        dovecot.restart()
        dovecot.put(user, [report(0)])
        poller = Poller(tmp_path, account(dovecot, user, password=password))
        well(poller.once())
        assert faults(poller.database, 1) == []


def test_starttls_is_used_where_it_is_asked_for(dovecot, user, tmp_path):
    dovecot.put(user, [report(0)])
    poller = Poller(tmp_path, account(dovecot, user, port=dovecot.imap, tls="starttls"))
    well(poller.once())
    assert faults(poller.database, 1) == []


def test_a_certificate_that_nobody_vouches_for_is_refused(dovecot, user, tmp_path):
    poller = Poller(tmp_path, account(dovecot, user, ca_file=""))
    before = dovecot.logins()
    ran = poller.once()
    assert ran.returncode == 1
    assert "certificate is not to be trusted, so no password was sent" in ran.stderr
    assert dovecot.logins() == before


def test_one_account_that_fails_keeps_no_other_from_its_mail(dovecot, user, tmp_path):
    dovecot.put(user, [report(0)])
    poller = Poller(tmp_path, account(dovecot, "stranger", password="wrong"), account(dovecot, user))
    assert poller.once().returncode == 1
    assert faults(poller.database, 1) == []
    assert poller.once("--account", user).returncode == 0


@pytest.mark.parametrize(
    "offered, inbox, done, flagged",
    [
        ("IMAP4rev1 IDLE UIDPLUS", 0, 3, 0),  # copied, and the originals expunged
        ("IMAP4rev1 IDLE", 3, 3, 3),  # copied, and no more than that
    ],
)
def test_mails_are_moved_with_what_the_server_has(tmp_path, user, offered, inbox, done, flagged):
    with Dovecot(imap_settings=f"  imap_capability = {offered}") as dovecot:
        dovecot.put(user, [*map(report, range(3)), letter()])
        dovecot.doveadm("flags", "add", "-u", user, "\\Deleted", "mailbox", "INBOX", "SUBJECT", "Lunch")
        poller = Poller(tmp_path, account(dovecot, user, after="move", processed_folder="Done"))
        well(poller.once())
        well(poller.once())
        assert faults(poller.database, 3) == []
        assert dovecot.count(user) == inbox + 1
        assert dovecot.count(user, "Done") == done
        assert dovecot.count(user, "INBOX", "KEYWORD", "$Processed") == flagged


def test_a_full_mailbox_keeps_mails_unmoved_until_there_is_room(tmp_path, user):
    quota = "plugin {{\n quota = count:User quota\n quota_vsizes = yes\n quota_rule = *:storage={}\n}}\n"
    copying = "  imap_capability = IMAP4rev1 UIDPLUS"  # what is moved within a quota needs no room
    with Dovecot(plugins="quota", more=quota.format("6K"), imap_settings=copying) as dovecot:
        dovecot.put(user, map(report, range(5)))
        poller = Poller(tmp_path, account(dovecot, user, after="move", processed_folder="Done"))
        ran = poller.once()
        assert ran.returncode == 1, ran.stdout
        assert "Done" in ran.stderr
        assert "uota" in ran.stderr
        assert stored(poller.database) == 5
        assert dovecot.count(user) == 5
        dovecot.configure(more=quota.format("10M"))
        dovecot.restart()
        well(poller.once())
        assert dovecot.count(user, "Done") == 5
        assert faults(poller.database, 5) == []


def test_the_account_has_to_be_one_that_is_there(dovecot, user, poll):
    ran = poll().once("--account", "nobody")
    assert ran.returncode == 2
    assert "there is no account nobody" in ran.stderr


def test_without_accounts_it_says_what_to_write(tmp_path):
    ran = Poller(tmp_path).once()
    assert ran.returncode == 3
    assert "[[imap]]" in ran.stderr
