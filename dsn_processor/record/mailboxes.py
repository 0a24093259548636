"""What is kept of mailboxes: how far they are read, what is still to be done in them, how their accounts do."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BindParameter, Table, and_, bindparam, delete, select
from sqlalchemy.dialects.sqlite import Insert
from sqlalchemy.dialects.sqlite import insert as insert_or
from sqlalchemy.engine import Connection

from dsn_processor.record.entries import AccountStatus, MailboxMail, MailboxNote, MailboxPosition
from dsn_processor.record.queries import parts
from dsn_processor.record.tables import metadata
from dsn_processor.terms import Kind, MailboxTask

_account = metadata.tables["mailbox_account"]
_folder = metadata.tables["mailbox_folder"]
_left = metadata.tables["left_mail"]
_mail = metadata.tables["mailbox_mail"]
_message = metadata.tables["message"]
_report = metadata.tables["report"]

_SOME: BindParameter[Any] = bindparam("identities", expanding=True)
_MET = (
    select(_message.c.identity, _report.c.kind)
    .join(_report, _report.c.message_id == _message.c.id, isouter=True)
    .where(_message.c.identity.in_(_SOME))
)
_MET_LEFT = select(_left.c.identity).where(_left.c.identity.in_(_SOME))
_IN_FOLDER = and_(_mail.c.account == bindparam("of_account"), _mail.c.folder == bindparam("of_folder"))
_SETTLE = delete(_mail).where(_IN_FOLDER, _mail.c.uid == bindparam("of_uid"))
_LEAVE = insert_or(_left).on_conflict_do_nothing()


def _upsert(table: Table) -> Insert:
    """A row, or what it says in place of the row with the same key."""
    statement = insert_or(table)
    others = {column.name: statement.excluded[column.name] for column in table.c if not column.primary_key}
    return statement.on_conflict_do_update(set_=others)


_KEEP_FOLDER, _KEEP_MAIL, _KEEP_ACCOUNT = _upsert(_folder), _upsert(_mail), _upsert(_account)


def met(connection: Connection, identities: Sequence[str]) -> dict[str, Kind | None]:
    found: dict[str, Kind | None] = {}
    for part in parts(identities):
        given = {"identities": part}
        found.update(dict.fromkeys(connection.scalars(_MET_LEFT, given), Kind.NOT_A_REPORT))
        found.update((key, kind and Kind(kind)) for key, kind in connection.execute(_MET, given))
    return found


def position(connection: Connection, account: str, folder: str) -> MailboxPosition | None:
    wanted = select(_folder.c.uid_validity, _folder.c.last_uid).where(
        _folder.c.account == account, _folder.c.folder == folder
    )
    row = connection.execute(wanted).one_or_none()
    return None if row is None else MailboxPosition(*row)


def mails(connection: Connection, account: str, folder: str) -> list[MailboxMail]:
    columns = (_mail.c.uid, _mail.c.task, _mail.c.unparsed, _mail.c.attempts)
    rows = connection.execute(
        select(*columns).where(_IN_FOLDER), {"of_account": account, "of_folder": folder}
    )
    return [MailboxMail(row.uid, MailboxTask(row.task), row.unparsed, row.attempts) for row in rows]


def note(connection: Connection, noted: MailboxNote) -> None:
    mine = {"account": noted.account, "folder": noted.folder}
    if noted.position is not None:
        before = position(connection, noted.account, noted.folder)
        if before is not None and before.uid_validity != noted.position.uid_validity:
            forget(connection, noted.account, noted.folder)
        connection.execute(_KEEP_FOLDER, {**mine, **noted.position._asdict()})
    if noted.mails:
        connection.execute(_KEEP_MAIL, [{**mine, **mail._asdict()} for mail in noted.mails])
    if noted.left:
        connection.execute(_LEAVE, [{"identity": identity} for identity in noted.left])


def settle(connection: Connection, account: str, folder: str, uids: Sequence[str]) -> None:
    if uids:
        which = [{"of_account": account, "of_folder": folder, "of_uid": uid} for uid in uids]
        connection.execute(_SETTLE, which)


def forget(connection: Connection, account: str, folder: str) -> None:
    """The numbers of a folder mean other mails now."""
    connection.execute(delete(_mail).where(_IN_FOLDER), {"of_account": account, "of_folder": folder})


def set_account(connection: Connection, status: AccountStatus) -> None:
    connection.execute(_KEEP_ACCOUNT, status._asdict())


def accounts(connection: Connection) -> list[AccountStatus]:
    columns = [_account.c[name] for name in AccountStatus._fields]
    return [AccountStatus(*row) for row in connection.execute(select(*columns).order_by(_account.c.account))]
