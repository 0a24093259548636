"""One open folder of a walk: its names in order, what is odd among them, and whether it is a Maildir."""

import os
from typing import Self

from dsn_processor.intake.files import describe, open_folder

_MAILDIR_PARTS = frozenset({"cur/", "new/", "tmp/"})


class Folder:
    """``next()`` gives the names in order, that of a folder with a "/" behind it. ``odd`` maps the names of links,
    FIFOs, sockets and devices to what they are. ``holds_mail``: every file in it is a mail (cur, new). ``is_plain``:
    nothing but folders and regular files, and not a Maildir.
    """

    __slots__ = ("_names", "descriptor", "holds_mail", "is_maildir", "is_plain", "odd", "source")

    def __init__(self, descriptor: int, source: str, *, holds_mail: bool) -> None:
        self.descriptor = descriptor
        self.source = source
        self.holds_mail = holds_mail
        self.odd: dict[str, str] = {}
        names: list[str] = []
        with os.scandir(descriptor) as entries:
            for entry in entries:
                name = entry.name
                if entry.is_file(follow_symlinks=False):
                    names.append(name)
                elif entry.is_dir(follow_symlinks=False):
                    names.append(f"{name}/")
                else:
                    names.append(name)
                    self.odd[name] = describe(entry.stat(follow_symlinks=False).st_mode)
        names.sort(reverse=True)
        self.is_maildir = "cur/" in names and "new/" in names
        if self.is_maildir:
            names = [name for name in names if name != "tmp/"]  # mails still being delivered
        self._names = names
        self.is_plain = not (self.odd or self.is_maildir)

    @classmethod
    def open(cls, name: str, source: str, parent: "Folder | None" = None) -> Self:
        """Raises OSError, and NotRegularError where a link took the folder's place."""
        descriptor = open_folder(name, None if parent is None else parent.descriptor)
        in_maildir = parent is not None and parent.is_maildir and f"{name}/" in _MAILDIR_PARTS
        try:
            return cls(descriptor, source, holds_mail=in_maildir)
        except OSError:
            os.close(descriptor)
            raise

    def next(self) -> str | None:
        return self._names.pop() if self._names else None

    def close(self) -> None:
        os.close(self.descriptor)
