"""What an account logs in with: asked for at each login, so that a password or token that is replaced is used at once."""

import os
import signal
import ssl
import subprocess
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from dsn_processor.errors import MailboxError
from dsn_processor.intake.mailbox import tokenfile
from dsn_processor.intake.mailbox.options import AccountOptions
from dsn_processor.safe import safe

if TYPE_CHECKING:
    from dsn_processor.intake.mailbox.oauth import (
        Bearer,
    )  # it loads an HTTP client, which a password needs not

_COMMAND_SECONDS = 30.0
_LONGEST = 1_000  # characters of a password
_SHOWN = 200


class Credentials:
    """The credentials of one account. Keep it as long as the account: it holds the access token."""

    def __init__(self, account: AccountOptions) -> None:
        self._account = account
        self._source = None
        if account.oauth2 is not None:
            from dsn_processor.intake.mailbox.oauth import TokenSource  # noqa: PLC0415  as above

            self._source = TokenSource(account)

    @property
    def by_token(self) -> bool:
        """Whether to log in by ``bearer``, not by ``password``."""
        return self._source is not None

    def password(self) -> str:
        """Raises MailboxError."""
        account = self._account
        if account.password_command:
            return _checked(_first_line(account.password_command), "password_command's answer")
        if account.password_file:
            return _checked(tokenfile.read_secret(account.password_file, "password_file"), "password_file")
        return account.password

    def bearer(self, offered: Collection[str], port: int) -> "Bearer":
        """The exchange to log in by, with one of the SASL mechanisms that the server offers. Raises LoginRefusedError,
        MailboxError.
        """
        from dsn_processor.intake.mailbox.oauth import Bearer, choose  # noqa: PLC0415  as above

        account = self._account
        assert account.oauth2 is not None
        assert self._source is not None
        mechanism = choose(account.oauth2.mechanism, offered)
        return Bearer(mechanism, account.username, self._source.token(), account.host, port)

    def forget(self) -> bool:
        """The server refused what we came with. Returns whether to try once more, at once, may help: a token that was
        got some time ago can have been taken back.
        """
        return self._source is not None and self._source.forget()


def tls_context(account: AccountOptions) -> ssl.SSLContext:
    """Who is trusted to be the account's server: whom the system trusts, or the authorities of ``ca_file`` alone.
    Raises MailboxError.
    """
    try:
        return ssl.create_default_context(cafile=account.ca_file or None)
    except (OSError, ssl.SSLError) as error:
        why = (
            error.strerror if not isinstance(error, ssl.SSLError) and error.strerror else "it is no PEM file"
        )
        raise MailboxError(f"ca_file {account.ca_file} cannot be used: {why}") from None


def file_problems(account: AccountOptions) -> Iterator[str]:
    """What is wrong with the files that an account names."""
    try:
        tls_context(account)
        if account.password_file:
            _checked(tokenfile.read_secret(account.password_file, "password_file"), "password_file")
    except MailboxError as error:
        yield str(error)
    tokens = account.oauth2
    if tokens is None:
        return
    if tokens.client_secret_file:
        try:
            tokenfile.read_secret(tokens.client_secret_file, "client_secret_file")
        except MailboxError as error:
            yield str(error)
    if tokens.grant == "refresh_token":
        yield from _token_file_problems(account.name, tokens.refresh_token_file)


def _token_file_problems(name: str, path: str) -> Iterator[str]:
    if not os.path.lexists(path):
        yield f"refresh_token_file {path} is not there yet: run dsn-processor oauth login {name}"
        return
    try:
        tokenfile.read_secret(path, "refresh_token_file")
    except MailboxError as error:
        yield f"{error}; run dsn-processor oauth login {name}"
    if trouble := tokenfile.unwritable(path):
        yield f"refresh_token_file {trouble}: the token is replaced now and then"


def _checked(password: str, what: str) -> str:
    if not password:
        raise MailboxError(f"{what} is empty")
    if len(password) > _LONGEST or not password.isprintable():
        raise MailboxError(f"{what} is no password: it has to be one line of text")
    return password


def _first_line(command: tuple[str, ...]) -> str:
    """What a command prints first. No shell takes part; it may take half a minute."""
    named = f"password_command {command[0]}"
    try:
        process = subprocess.Popen(  # noqa: S603  the operator's own command
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise MailboxError(f"{named} cannot be run: {why}") from None
    with process:
        try:
            out, complaint = process.communicate(timeout=_COMMAND_SECONDS)
        except subprocess.TimeoutExpired:
            _end(process)
            raise MailboxError(f"{named} did not end within {_COMMAND_SECONDS:.0f} seconds") from None
        except BaseException:
            _end(process)
            raise
    if process.returncode:
        said = safe(" ".join(complaint[:4096].decode("utf-8", "replace").split())[-_SHOWN:])
        raise MailboxError(f"{named} failed ({process.returncode})" + (f": {said}" if said else ""))
    try:
        return out.partition(b"\n")[0].rstrip(b"\r").decode()
    except UnicodeDecodeError:
        raise MailboxError(f"{named} prints no UTF-8 text") from None


def _end(process: subprocess.Popen[bytes]) -> None:
    """End it with all that it started: what holds its output would be waited for."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return
