"""Things computed at the first look. ``cached_property`` is without the lock that Python 3.11 takes: a mail is read by
one thread.
"""

from collections.abc import Callable
from functools import update_wrapper
from typing import Any, Generic, Protocol, TypeVar

T = TypeVar("T")


class cached_property(Generic[T]):  # noqa: N801  named as the one it stands in for
    """Computed at the first look, then an ordinary attribute of the instance."""

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self._compute = compute
        self._name = compute.__name__
        self.__doc__ = compute.__doc__

    def __get__(self, instance: Any, owner: type | None = None) -> T:
        value = self._compute(instance)
        setattr(instance, self._name, value)
        return value


class Seen(Protocol):
    """What keeps the answers of ``once``."""

    seen: dict[str, Any]


M = TypeVar("M", bound=Seen)


def once(look: Callable[[M], T]) -> Callable[[M], T]:
    """A question about a mail that is answered once. The mail forgets its answers when its parts are sorted anew."""
    name = look.__name__

    def asked(mail: M) -> T:
        seen = mail.seen
        answer: T
        if name in seen:
            answer = seen[name]
        else:
            answer = seen[name] = look(mail)
        return answer

    return update_wrapper(asked, look)
