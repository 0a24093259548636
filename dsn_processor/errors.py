"""Our own faults. Bad mail is never one of them: it becomes facts with defects.

DsnProcessorError
 +-- UsageError
 +-- ConfigurationError
 |    +-- RulesError
 |    +-- SettingsError
 +-- MailboxError
 |    +-- LoginRefusedError
 +-- StoreError
      +-- StoreBusyError
      +-- StoreFullError
      +-- StoreMovedError
      +-- MailDamagedError
"""

from collections.abc import Iterable


class DsnProcessorError(Exception):
    """Something of ours went wrong; the text says what to do about it."""


class UsageError(DsnProcessorError):
    """What was asked for on the command line cannot be done."""


class ConfigurationError(DsnProcessorError):
    """A setting, an option's value or a rules file cannot be used."""


class RulesError(ConfigurationError):
    """A rules file has a row that cannot be used; the text names file and row."""


class SettingsError(ConfigurationError):
    """Settings cannot be used. ``problems`` are all that were found, each a sentence that says where and what to do."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(self.problems))


class MailboxError(DsnProcessorError):
    """A mailbox cannot be reached or read, or its server does not keep to the protocol; trying again may help."""


class LoginRefusedError(MailboxError):
    """The mailbox's server does not take what we log in with. To try again soon may lock the account."""


class StoreError(DsnProcessorError):
    """The database cannot be opened, read or written."""


class StoreBusyError(StoreError):
    """Another process holds the database; trying again later helps."""


class StoreFullError(StoreError):
    """No room: on the disk, or in the queue of what is still to be stored."""


class StoreMovedError(StoreError):
    """The database's file was moved, removed or replaced while it was in use."""


class MailDamagedError(StoreError):
    """One stored mail cannot be had back."""
