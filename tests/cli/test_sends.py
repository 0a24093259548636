import json
from datetime import UTC, datetime, timedelta

import pytest

from dsn_processor import sends
from dsn_processor.canonical import reference
from dsn_processor.facts import Send
from dsn_processor.record.store import Store

CSV = """\
message_id,recipient,time,stream,campaign,tag:plan,mailing_list
<1@example.com>,Alice@Example.NET,{day}T08:00:00Z,news,nov,pro,
2@example.com,bob@mail.example,{day},,,,yes
"""
DAY = datetime.now(UTC).date() - timedelta(days=2)


@pytest.fixture
def register(cli, url, tmp_path):
    def run(text, *args, action="register"):
        path = tmp_path / "sends"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        code, out, err = cli("sends", action, path, "--db", url, "--json", *args)
        return code, json.loads(out) if out else None, err

    return run


def stored(url, message_id):
    with Store.open(url, readonly=True) as store:
        found = store.find_sends({reference(message_id): ()})
        return found[reference(message_id)].sends[0] if found else None


def test_csv(register, url):
    assert register(CSV.format(day=DAY)) == (0, {"taken": 2, "new": 2, "bad": 0}, "")
    assert register(CSV.format(day=DAY))[1] == {"taken": 2, "new": 0, "bad": 0}
    alice, bob = stored(url, "1@example.com"), stored(url, "2@example.com")
    assert alice == Send(
        "1@example.com",
        "alice@example.net",
        datetime(DAY.year, DAY.month, DAY.day, 8, tzinfo=UTC),
        "news",
        "nov",
        (("plan", "pro"),),
    )
    assert (bob.mailing_list, bob.stream, bob.tags) == (True, None, ())


def test_json_lines(register, url):
    row = {
        "message_id": "1@example.com",
        "to": "alice@example.net",
        "tags": {"plan": "pro", "n": 7},
        "time": 1_790_000_000,
    }
    code, counts, _ = register("\n" + json.dumps(row) + "\n\n")
    assert (code, counts["new"]) == (0, 1)
    sent = stored(url, "1@example.com")
    assert sent.tags == (("n", "7"), ("plan", "pro"))
    assert sent.sent_at == datetime.fromtimestamp(1_790_000_000, UTC)


def test_tags_in_one_column(register, url):
    register("recipient,message_id,tags,tag:c\na@example.net,1@example.com,b=2; a=1,3\n")
    assert stored(url, "1@example.com").tags == (("a", "1"), ("b", "2"), ("c", "3"))


@pytest.mark.parametrize(
    "line, why",
    [
        ('{"message_id": "1"}', "recipient is missing"),
        ('{"recipient": "a@example.net"}', "message_id is missing"),
        ('{"message_id": "1", "recipient": "nobody"}', "'nobody' is no address"),
        ('{"message_id": "1", "recipient": 7}', "recipient has to be text"),
        ('{"message_id": "1", "recipient": "a@example.net", "x": 1}', "no field 'x'"),
        ('{"message_id": "1", "recipient": "a@example.net", "time": "yesterday"}', "write ISO 8601"),
        ('{"message_id": "1", "recipient": "a@example.net", "time": "2999-01-01"}', "not a time in the past"),
        ('{"message_id": "1", "recipient": "a@example.net", "tags": 3}', "an object of names"),
        ('{"message_id": "1", "recipient": "a@example.net", "tags": "x"}', "name=value;name=value"),
        ('{"message_id": "1", "recipient": "a@example.net", "mailing_list": "maybe"}', "true or false"),
        ('{"message_id": "%s", "recipient": "a@example.net"}' % ("x" * 1_001), "more than 1000 characters"),
        ("[1]", "no JSON object"),
        ("{", "no JSON"),
    ],
)
def test_a_bad_line_is_told_and_the_rest_taken(register, url, line, why):
    good = '{"message_id": "%s@example.com", "recipient": "a@example.net"}'
    code, counts, err = register(f"{good % 1}\n{line}\n{good % 2}\n")
    assert code == 1
    assert counts == {"taken": 2, "new": 2, "bad": 1}
    assert "sends line 2: " in err
    assert why in err


def test_a_bad_line_of_csv_is_told_with_its_number(register):
    code, counts, err = register(
        b"recipient,message_id\na@example.net,1\nb@example.net\n\n\xff@example.net,2\n" + b"x,1\n" * 30
    )
    assert code == 1
    assert counts == {"taken": 1, "new": 1, "bad": 32}
    assert "line 3: 1 values for 2 columns" in err
    assert "line 5: recipient is no UTF-8 text" in err
    assert "12 lines more cannot be used" in err


@pytest.mark.parametrize(
    "text, why",
    [
        ("message_id,address\n1,a@example.net\n", "recipient among them"),
        ("recipient,colour\na@example.net,red\n", "no column 'colour'"),
        ("", "recipient among them"),
    ],
)
def test_a_header_that_says_nothing(register, text, why):
    code, _, err = register(text)
    assert code == 2
    assert why in err


def test_delivered(register, url):
    register(CSV.format(day=DAY))
    code, counts, _ = register(
        f"recipient,message_id,time\nALICE@example.net,1@example.com,{DAY}\neve@example.org,,{DAY}\n",
        action="delivered",
    )
    assert (code, counts) == (0, {"taken": 2, "new": 2, "bad": 0})
    assert stored(url, "1@example.com").delivered_at.date() == DAY


def test_stats_and_purge(cli, register, url):
    register(CSV.format(day=DAY))
    assert json.loads(cli("sends", "stats", "--db", url, "--json")[1])["mails"] == 2
    assert cli("sends", "purge", "--older", "3d", "--db", url)[1] == "0 forgotten\n"
    assert cli("sends", "purge", "--older", "36h", "--db", url)[1] == "2 forgotten\n"
    assert cli("sends", "purge", "--db", url)[1] == "0 forgotten\n"
    code, out, _ = cli("sends", "stats", "--db", url)
    assert code == 0
    assert out.startswith("mails       0\n")


def test_the_library(url):
    now = datetime.now(UTC)
    many = [Send(f"{number}@example.com", "alice@example.net", now) for number in range(5_000)]
    assert sends.register(url, iter(many)) == (5_000, 5_000)
    assert sends.register(url, many[:10]) == (10, 0)
    assert sends.delivered(url, [many[0]._replace(delivered_at=now)]) == (1, 1)
    assert sends.purge(url, timedelta(days=1)) == 0
    assert sends.purge(url, -timedelta(days=1)) == 5_000


def test_standard_input(program, url):
    ran = program("sends", "register", "-", "--db", url, stdin=CSV.format(day=DAY).encode())
    assert (ran.returncode, ran.stdout) == (0, b"2 taken, 2 of them new; 0 lines could not be used\n")


def test_a_file_that_is_not_there(cli, url):
    code, _, err = cli("sends", "register", "nowhere.csv", "--db", url)
    assert code == 2
    assert "nowhere.csv cannot be read: No such file" in err
