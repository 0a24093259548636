"""Our own faults. Bad mail is never one of them: it becomes facts with defects.

DsnProcessorError
 +-- UsageError
 +-- ConfigurationError
 |    +-- RulesError
 +-- StoreError
      +-- StoreBusyError
      +-- StoreFullError
"""


class DsnProcessorError(Exception):
    """Something of ours went wrong; the text says what to do about it."""


class UsageError(DsnProcessorError):
    """What was asked for on the command line cannot be done."""


class ConfigurationError(DsnProcessorError):
    """A setting, an option's value or a rules file cannot be used."""


class RulesError(ConfigurationError):
    """A rules file has a row that cannot be used; the text names file and row."""


class StoreError(DsnProcessorError):
    """The database cannot be opened, read or written."""


class StoreBusyError(StoreError):
    """Another process holds the database; trying again later helps."""


class StoreFullError(StoreError):
    """No room: on the disk, or in the queue of what is still to be stored."""
