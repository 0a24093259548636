"""An operator's own rules file: looked through when it is loaded, loaded anew when it changed."""

import os
from codecs import BOM_UTF8
from collections.abc import Callable
from pathlib import Path

from dsn_processor.classify.match import RuleBook
from dsn_processor.classify.rules import Row, digest, read_files
from dsn_processor.errors import RulesError
from dsn_processor.reading import Rules, rules_version
from dsn_processor.teach.lint import Linted, lint_own, lint_packaged, too_wide


def load_rules(path: str) -> Rules:
    """The package's rules with those of the file ``path`` before them. Raises RulesError: file, row, and what to do."""
    return _rules(_read(path), path)


def load_rows(path: str) -> tuple[Row, ...]:
    """The file's rows with their samples. Raises RulesError."""
    return _sound(_read(path), path)[0].rows


def lint_file(path: str) -> Linted:
    """An operator's file looked through, with advice on what its rows take from the package's. Raises RulesError
    where it cannot be read.
    """
    linted = lint_own(_read(path), path)
    return linted._replace(findings=(*linted.findings, *too_wide(linted)))


def lint_tables() -> Linted:
    return lint_packaged(read_files())


def _rules(data: bytes, path: str) -> Rules:
    _, book = _sound(data, path)
    return Rules(book, f"{rules_version()}+{digest([data])}")


def _sound(data: bytes, path: str) -> tuple[Linted, RuleBook]:
    linted = lint_own(data, path)
    wrong = linted.fatal
    if wrong or linted.book is None:
        more = f" (and {len(wrong) - 1} more: dsn-processor rules lint {path})" if len(wrong) > 1 else ""
        raise RulesError(f"{wrong[0].text}{more}")
    return linted, linted.book


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes().removeprefix(BOM_UTF8)  # Notepad's
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise RulesError(f"{path}: cannot read the rules file: {why}") from None


class RulesFile:
    """Rules that follow a file. ``current()`` is asked before each batch of mails; it reads the file each time, since
    neither its date nor its inode tells every edit (bind mounts, copies that keep dates), and it is small.

    A file that has become unreadable or wrong changes nothing: the rules before stay, and ``say`` is told why, once.
    """

    def __init__(self, path: str, say: Callable[[str], None]) -> None:
        """Raises RulesError: there is nothing to stay with yet."""
        self._path = path
        self._say = say
        self._data = _read(path)
        self._rules = _rules(self._data, path)
        self._once = not os.path.isfile(path)  # noqa: PTH113  a pipe's words do not come again
        self._missing = False

    def current(self) -> Rules:
        if self._once:
            return self._rules
        try:
            data = _read(self._path)
        except RulesError as error:
            if not self._missing:
                self._missing = True
                self._keep(error)
            return self._rules
        self._missing = False
        if data and data != self._data:  # empty: somebody is just writing it
            self._data = data
            try:
                self._rules = _rules(data, self._path)
            except RulesError as error:
                self._keep(error)
        return self._rules

    def _keep(self, error: RulesError) -> None:
        self._say(f"{error}; the rules loaded before stay in use")
