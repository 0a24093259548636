"""What accounts of both kinds have in common: a connection that is opened, closed and broken off."""

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from dsn_processor.errors import LoginRefusedError
from dsn_processor.intake.mailbox.credentials import Credentials


class Connection(Protocol):
    """A connection to a server, not logged in when it is made."""

    def log_in(self, credentials: Credentials) -> None: ...

    def close(self) -> None: ...

    def hang_up(self) -> None: ...


_Session = TypeVar("_Session", bound=Connection)


class Connected(Generic[_Session]):
    """Holds at most one connection, made by ``connect``."""

    def __init__(self, connect: Callable[[], _Session], credentials: Credentials) -> None:
        self._connect = connect
        self._credentials = credentials
        self._session: _Session | None = None

    @property
    def session(self) -> _Session:
        assert self._session is not None
        return self._session

    def open(self) -> None:
        """Connect and log in. Where a token is refused, once more with a fresh one."""
        self.close()
        try:
            self._log_in()
        except LoginRefusedError:
            if not self._credentials.forget():
                raise
            self._log_in()

    def _log_in(self) -> None:
        session = self._session = self._connect()
        try:
            session.log_in(self._credentials)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def hang_up(self) -> None:
        if session := self._session:
            session.hang_up()
