"""Regular expressions that are compiled when first used: a start needs a few of more than a hundred, and to compile all of
them takes longer than to read a mail.
"""

import re
from typing import Any, AnyStr, cast

_METHODS = ("search", "match", "fullmatch", "finditer", "findall", "sub", "split")


class _Pattern:
    """Stands in for a ``re.Pattern``, whose methods it has once they were asked for."""

    __slots__ = (*_METHODS, "flags", "pattern")

    def __init__(self, source: Any, flags: int) -> None:
        self.pattern = source
        self.flags = flags


class _Uncompiled(_Pattern):
    """A pattern up to its first use. Then it changes its class, since ``__getattr__`` slows down every look at an attribute."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        if name not in _METHODS:
            raise AttributeError(name)
        compiled = re.compile(self.pattern, self.flags)
        for method in _METHODS:
            setattr(self, method, getattr(compiled, method))
        self.__class__ = _Pattern  # type: ignore[assignment]
        return getattr(compiled, name)


def pattern(source: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """``re.compile`` put off to the first use, and with it any complaint about ``source``."""
    return cast("re.Pattern[AnyStr]", _Uncompiled(source, flags))


def holds(text: str, words: tuple[str, ...]) -> bool:
    """Whether any of a few literal ``words`` stands in ``text``: what spares most texts a slower search."""
    for word in words:  # noqa: SIM110  a loop is twice as quick as any() of a generator
        if word in text:
            return True
    return False
