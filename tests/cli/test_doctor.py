"""`doctor`: each thing that can be wrong, made wrong."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing

import pytest

from dsn_processor.cli import checks, probes
from dsn_processor.listening import listen_address
from dsn_processor.record import checkup
from dsn_processor.record.sqlite import writer_lock


@pytest.fixture
def free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


@pytest.fixture
def config(tmp_path, free_port):
    """Write a configuration of a server that would work: ``config("[log]...")`` adds to it; its path."""

    def write(more="", listen=f"127.0.0.1:{free_port}", top=""):
        path = tmp_path / "c.toml"
        path.write_text(
            f'database = "sqlite:///{tmp_path}/b.db"\n{top}\n[web]\nlisten = "none"\n[smtp]\nlisten = ["{listen}"]\n{more}'
        )
        return path

    return write


@pytest.fixture
def doctor(cli):
    """Run it: (exit code, findings by what they are about, the gravest of each)."""

    def examine(*args):
        code, out, err = cli("doctor", "--json", *args)
        assert err == ""
        found = {}
        for line in out.splitlines():
            finding = json.loads(line)
            worst = found.setdefault(finding["about"], finding)
            if [checks.OK, checks.WARN, checks.FAIL].index(finding["level"]) > [
                checks.OK,
                checks.WARN,
                checks.FAIL,
            ].index(worst["level"]):
                found[finding["about"]] = finding
        assert (code == 1) == any(finding["level"] == checks.FAIL for finding in found.values())
        return code, found

    return examine


def test_a_new_machine(doctor, config):
    code, found = doctor("--config", config())
    assert code == 0
    assert set(found) >= {
        "python",
        "sqlite",
        "packages",
        "clock",
        "settings",
        "server",
        "database",
        "disk",
        "files",
        "smtp",
    }
    assert "not there yet" in found["database"]["found"]
    assert found["smtp"]["found"].endswith("is free")


def test_it_changes_nothing(doctor, config, tmp_path):
    config()
    before = sorted(tmp_path.iterdir())
    doctor("--config", tmp_path / "c.toml")
    assert sorted(tmp_path.iterdir()) == before


def test_a_sound_database(doctor, config, cli, put, tmp_path):
    assert cli("replay", put(), "--db", f"sqlite:///{tmp_path}/b.db")[0] == 0
    _, found = doctor("--config", config())
    assert found["database"]["level"] == "ok"
    assert found["database"]["found"].endswith("sound")


def test_text_for_people(cli, config):
    code, out, _ = cli("doctor", "--config", config('max_junk = 0\nlistn = "\\u001b[31m"'))
    assert code == 1
    lines = out.splitlines()
    assert lines[0].startswith("ok    python")
    assert any(line.startswith("fail  settings  ") and "max_junk" in line for line in lines)
    assert lines[-1] == "2 to mend"
    assert "\x1b" not in out


def test_a_damaged_database(doctor, config, cli, put, tmp_path):
    path = tmp_path / "b.db"
    for number in range(40):
        assert (
            cli(
                "replay",
                put(number=number, returned_id=f"<{number}@example.com>"),
                "--db",
                f"sqlite:///{path}",
            )[0]
            == 0
        )
    with path.open("r+b") as file:
        for page in range(3, path.stat().st_size // 8192):
            file.seek(page * 8192)
            file.write(b"\xff" * 200)
    code, found = doctor("--config", config())
    assert code == 1
    assert found["database"]["level"] == "fail"
    assert "damaged" in found["database"]["found"]


def test_no_database_at_all(doctor, config, tmp_path):
    (tmp_path / "b.db").write_bytes(b"not one" * 1000)
    assert doctor("--config", config())[1]["database"]["level"] == "fail"


@pytest.mark.parametrize(
    "statement, words",
    [
        ("CREATE TABLE somebody (x)", "another program"),
        (
            "CREATE TABLE recipient_event (x); CREATE TABLE alembic_version AS SELECT '9999' AS version_num",
            "newer version",
        ),
    ],
)
def test_a_database_of_somebody_else(doctor, config, tmp_path, statement, words):
    with closing(sqlite3.connect(tmp_path / "b.db")) as made:
        made.executescript(statement)
    code, found = doctor("--config", config())
    assert code == 1
    assert words in found["database"]["found"]


def test_a_database_that_others_can_open(doctor, config, cli, put, tmp_path):
    cli("replay", put(), "--db", f"sqlite:///{tmp_path}/b.db")
    (tmp_path / "b.db").chmod(0o644)
    code, found = doctor("--config", config())
    assert (code, found["database"]["level"]) == (0, "warn")
    assert "chmod 600" in found["database"]["advice"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_as_a_stranger(doctor, config, cli, put, tmp_path):
    cli("replay", put(), "--db", f"sqlite:///{tmp_path}/b.db")
    path = config()
    doctor("--config", path)  # which loads all that the stranger could not
    tmp_path.chmod(0o711)
    path.chmod(0o644)
    above = [folder for folder in tmp_path.parents if not folder.stat().st_mode & 0o001]
    modes = [folder.stat().st_mode for folder in above]
    try:
        for folder in above:
            folder.chmod(0o711)
        os.seteuid(65534)
        code, found = doctor("--config", path)
        os.seteuid(0)
        tmp_path.chmod(0o700)
        os.seteuid(65534)
        later = doctor("--db", f"sqlite:///{tmp_path}/b.db")[1]
    finally:
        os.seteuid(0)
        for folder, mode in zip(above, modes, strict=True):
            folder.chmod(mode)
    assert code == 1
    assert found["database"]["level"] == "fail"
    assert found["disk"]["level"] == "fail"
    assert "as the user" in later["database"]["advice"]


def test_a_look_that_takes_too_long_ends(cli, put, tmp_path):
    path = tmp_path / "b.db"
    for number in range(40):
        cli("replay", put(number=number, returned_id=f"<{number}@example.com>"), "--db", f"sqlite:///{path}")
    assert checkup.examine(path, seconds=60).complete
    assert checkup.examine(path, seconds=60).trouble is None
    with closing(sqlite3.connect(":memory:")) as driver:
        driver.execute(
            "CREATE TABLE t AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 100000) SELECT i FROM n"
        )
        assert checkup._quick_check(driver, time.monotonic() - 1) == (None, False)


@pytest.mark.parametrize(
    "version, mended",
    [
        ((3, 40, 1), False),
        ((3, 51, 2), False),
        ((3, 51, 3), True),
        ((3, 52, 0), True),
        ((3, 50, 6), False),
        ((3, 50, 7), True),
        ((3, 44, 6), True),
        ((3, 45, 0), False),
    ],
)
def test_which_sqlite_has_the_mend(monkeypatch, version, mended):
    monkeypatch.setattr(sqlite3, "sqlite_version_info", version)
    assert checkup.sqlite_release()[1] is mended


def test_another_release_of_the_listener_s_library(monkeypatch):
    monkeypatch.setattr(checks, "_PINNED", {"aiosmtpd": "0.1"})
    [warning] = [one for one in checks.check_versions() if one.level == "warn"]
    assert "aiosmtpd==0.1" in warning.advice


def test_a_package_that_is_missing(monkeypatch):
    monkeypatch.setattr(checks, "_PACKAGES", ("no-such-package",))
    assert [one.about for one in checks.check_versions() if one.level == "fail"] == ["packages"]


def test_a_clock_that_was_never_set(monkeypatch):
    monkeypatch.setattr(time, "gmtime", lambda: time.struct_time((1970, 1, 1, 0, 0, 0, 3, 1, 0)))
    assert [one.level for one in checks.check_clock()] == ["fail"]


def test_a_file_system_with_another_clock(doctor, config, monkeypatch):
    now = time.time
    monkeypatch.setattr(checks.time, "time", lambda: now() + 100)
    _, found = doctor("--config", config())
    assert "clock is -100 seconds" in found["disk"]["found"]


def test_too_little_room(doctor, config):
    code, found = doctor("--config", config(top='min_free = "900TB"'))
    assert (code, found["disk"]["level"]) == (1, "fail")
    assert "min_free (900TB)" in found["disk"]["found"]


def test_a_folder_that_is_not_there(doctor, tmp_path, config):
    code, found = doctor("--config", config(), "--db", f"sqlite:///{tmp_path}/none/b.db")
    assert (code, found["disk"]["level"]) == (1, "fail")
    assert f"make {tmp_path}/none" in found["disk"]["advice"]


@pytest.mark.parametrize("kind, word", [("nfs4", "network"), ("tmpfs", "restart"), ("overlay", "container")])
def test_a_file_system_that_is_no_good(doctor, config, monkeypatch, kind, word):
    monkeypatch.setattr(probes, "file_system", lambda _: kind)
    code, found = doctor("--config", config())
    assert (code, found["disk"]["level"]) == (0, "warn")
    assert word in found["disk"]["found"]


def test_the_innermost_mount_tells_the_file_system(tmp_path):
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "20 1 8:1 / / rw - ext4 /dev/sda rw\n"
        "21 20 0:1 / /srv rw shared:1 - nfs4 host:/x rw\n"
        "22 21 0:2 / /srv/my\\040mail rw - xfs /dev/sdb rw\n"
    )
    for folder, kind in (("/var", "ext4"), ("/srv/x", "nfs4"), ("/srv/my mail/x", "xfs"), ("/srvx", "ext4")):
        assert probes.file_system(checks.Path(folder), str(mounts)) == kind
    assert probes.file_system(checks.Path("/"), str(tmp_path / "none")) == ""


def test_too_few_files(doctor, config):
    code, found = doctor("--config", config("max_connections = 100000"))
    assert code == 0
    assert found["files"]["level"] in {"warn", "ok"}
    _, hard = checks.resource.getrlimit(checks.resource.RLIMIT_NOFILE)
    assert (found["files"]["level"] == "warn") == (0 <= hard < 200_200)


def test_a_port_that_is_taken(doctor, config):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, found = doctor("--config", config(listen=f"127.0.0.1:{port}"))
    assert (code, found["smtp"]["level"]) == (1, "fail")
    assert f"127.0.0.1:{port} is taken" in found["smtp"]["found"]


def test_an_address_of_another_machine(doctor, config):
    code, found = doctor("--config", config('recipients = ["b@example.com"]', listen="192.0.2.77:25"))
    assert (code, found["smtp"]["level"]) == (1, "fail")
    assert "address of this machine" in found["smtp"]["advice"]


def test_unix_sockets(tmp_path):
    path = tmp_path / "lmtp"
    address = listen_address(f"unix:{path}")
    assert probes.taken(address) is None
    with socket.socket(socket.AF_UNIX) as held:
        held.bind(str(path))
        assert probes.taken(address) is None  # a dead server's: nobody listens
        held.listen()
        assert probes.taken(address).errno == checks.errno.EADDRINUSE
    assert probes.taken(listen_address(f"unix:{tmp_path}/none/lmtp")).errno == checks.errno.ENOENT


def test_settings_that_cannot_be_used_end_it(doctor, config):
    code, found = doctor("--config", config("max_junk = 0"))
    assert code == 1
    assert "line 7: smtp.max_junk" in found["settings"]["found"]
    assert "database" not in found


def test_a_database_of_another_kind(doctor, config):
    code, found = doctor("--config", config(), "--db", "postgresql://u:hunter2@h/d")
    assert code == 1
    assert "hunter2" not in json.dumps(found)


def test_a_command_that_writes(doctor, config, tmp_path):
    with writer_lock(tmp_path / "b.db", 0):
        _, found = doctor("--config", config())
    assert "a command is writing" in found["server"]["found"]
    assert "none runs" in doctor("--config", config())[1]["server"]["found"]


def test_a_server_that_does_not_answer(doctor, config, tmp_path):
    path = checks.control_path(tmp_path / "b.db")
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(path))
        deaf.listen()

        def hang_up():
            deaf.accept()[0].close()

        answering = threading.Thread(target=hang_up)
        answering.start()
        code, found = doctor("--config", config())
        answering.join(60)
    assert (code, found["server"]["level"]) == (1, "fail")
    assert found["disk"]["level"] == "ok"


def test_a_key_that_everybody_can_read(doctor, config, tmp_path):
    key = tmp_path / "key.pem"
    key.write_text("x")
    key.chmod(0o644)
    code, found = doctor("--config", config(f'tls_certificate = "{key}"'))
    assert code == 1
    assert found["settings"]["level"] == "fail"
    warnings = [
        one for one in checks.check_settings(checks.load(str(tmp_path / "c.toml"))) if one.level == "warn"
    ]
    assert any("chmod o-r" in one.advice for one in warnings)


@pytest.fixture
def server(config, tmp_path):
    """A running server, on the addresses that ``config()`` names."""
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "dsn_processor", "serve", "--config", config()],
            stdout=subprocess.PIPE,
            stderr=log,
            env={**os.environ, "DSN_PROCESSOR__PROCESSING__WORKERS": "1"},
        )
        try:
            assert b"takes mail now" in process.stdout.readline(), (tmp_path / "log").read_text()
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(60)
            finally:
                process.kill()
                process.stdout.close()


def test_a_server_that_runs(server, doctor, config, tmp_path):
    code, found = doctor("--config", tmp_path / "c.toml")
    assert code == 0
    assert f"process {server.pid} runs: 0 mails wait" in found["server"]["found"]
    assert "in use, as it should be" in found["smtp"]["found"]
    assert found["database"]["level"] == "ok"
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
    _, found = doctor("--config", config(listen=f"127.0.0.1:{port}"))
    assert "does not listen" in found["smtp"]["found"]
