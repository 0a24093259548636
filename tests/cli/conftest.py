"""The program, called in this process and as one of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

from dsn_processor.cli import main

PROGRAM = [sys.executable, "-m", "dsn_processor"]
FIXTURES = Path(__file__).parents[2] / "fixtures_eml"


@pytest.fixture
def cli(capfdbinary):
    """Call the program: (exit code, standard output, standard error). Output has to be UTF-8."""

    def call(*args):
        try:
            code = main([str(arg) for arg in args])
        except SystemExit as leaving:
            code = leaving.code
        sys.stdout.flush()
        out, err = capfdbinary.readouterr()
        return code, out.decode(), err.decode()

    return call


@pytest.fixture
def program():
    """Run the program: ``program("parse", "-", stdin=b"...", shell="<&-")``; ``shell`` holds redirections."""

    def run(*args, stdin=b"", shell=None, **kwargs):
        command = [*PROGRAM, *map(str, args)]
        if shell:
            command = ["sh", "-c", f'exec "$@" {shell}', "sh", *command]
        return subprocess.run(command, input=stdin, capture_output=True, timeout=120, check=False, **kwargs)

    return run


@pytest.fixture
def put(tmp_path, write_dsn):
    """Write a report into a file of the test's folder."""

    def write(name="a.eml", **kwargs):
        path = tmp_path / name
        path.write_bytes(write_dsn(**kwargs))
        return path

    return write


@pytest.fixture
def fixtures_eml():
    return FIXTURES
