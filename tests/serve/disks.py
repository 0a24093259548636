"""Small disks of files and memory, made for a test and gone after it."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MIB = 2**20


def make_image(image: Path, mib: int) -> None:
    """An ext4 file system in a file."""
    with image.open("wb") as file:
        file.truncate(mib * MIB)
    _run("mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0", image)


@contextmanager
def mounted(image: Path, folder: Path) -> Iterator[Path]:
    """The image under ``folder``. Mounting one that was cut off replays its journal, as after a power cut."""
    folder.mkdir(exist_ok=True)
    _run("mount", "-t", "ext4", "-o", "loop", image, folder)
    try:
        yield folder
    finally:
        _run("umount", folder)


@contextmanager
def of_memory(folder: Path, mib: int) -> Iterator[Path]:
    """A tmpfs of so many MiB under ``folder``."""
    folder.mkdir(exist_ok=True)
    _run("mount", "-t", "tmpfs", "-o", f"size={mib}m,mode=0700", "tmpfs", folder)
    try:
        yield folder
    finally:
        _run("umount", folder)


def _run(*command: str | Path) -> None:
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, f"{command}: {ran.stderr}"
