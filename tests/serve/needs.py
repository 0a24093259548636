"""What a test needs of the machine. Where .ci/run brought it, a missing program is a failure and no reason to skip."""

import os
import shutil
import subprocess
from functools import cache

import pytest

_PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"


def program(name: str) -> str:
    """The path of a system program; skips the test where there is none."""
    found = shutil.which(name, path=_PATH)
    if found is None:
        assert not os.environ.get("DSN_PROCESSOR_TESTS_REQUIRE_SERVERS"), (
            f"{name} is missing: .ci/run installs it"
        )
        pytest.skip(f"{name} is not installed")
    return found


def root() -> None:
    if os.geteuid():
        pytest.skip("needs root")


def loop_devices() -> None:
    """A machine, or a container, may have none, or not allow to mount them."""
    root()
    program("mkfs.ext4")
    if why := _no_loop(program("losetup")):
        pytest.skip(f"needs a loop device: {why}")


def tracing() -> None:
    """A container may forbid ptrace."""
    if why := _no_trace(program("strace")):
        pytest.skip(f"needs to trace processes: {why}")


@cache
def _no_loop(losetup: str) -> str:
    ran = subprocess.run([losetup, "--find"], capture_output=True, text=True, check=False)
    return ran.stderr.strip() if ran.returncode else ""


@cache
def _no_trace(strace: str) -> str:
    ran = subprocess.run([strace, "-o", os.devnull, "true"], capture_output=True, text=True, check=False)
    return ran.stderr.strip() if ran.returncode else ""
