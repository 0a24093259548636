"""The tables of the registry of sends (tables.py has the others): millions of rows, so they are small."""

from sqlalchemy import BigInteger, Index
from sqlmodel import Field

from dsn_processor.record.columns import SafeText
from dsn_processor.record.shelf import Table


class SentAddress(Table, table=True):
    """An address that we mailed, canonical. Mails name it by its number: most get many."""

    __tablename__ = "sent_address"

    id: int | None = Field(default=None, primary_key=True)
    address: str = Field(unique=True, sa_type=SafeText)
    mailing_list: bool = False


class SentLabel(Table, table=True):
    """What many mails have in common: ``words`` is JSON of stream, campaign and tags."""

    __tablename__ = "sent_label"

    id: int | None = Field(default=None, primary_key=True)
    words: str = Field(unique=True, sa_type=SafeText)


class SentMail(Table, table=True):
    """A mail to one recipient: there are millions, so numbers stand for what repeats, and times are seconds since 1970.
    ``reference`` is a hash of ``message_id``, 0 where there is none. ``label_id`` is NULL where only its delivery was told.
    """

    __tablename__ = "sent_mail"
    __table_args__ = (Index(None, "reference", "address_id", unique=True),)

    id: int | None = Field(default=None, primary_key=True)
    reference: int = Field(sa_type=BigInteger)
    address_id: int = Field(index=True)
    message_id: str = Field(sa_type=SafeText)
    label_id: int | None = None
    sent_at: int
    delivered_at: int | None = None


class Delivery(Table, table=True):
    """A delivery to an address that mail failed for, too, kept when the registry forgot the mail: strikes that it took away
    must not come back.
    """

    __tablename__ = "delivery"
    __table_args__ = ({"sqlite_with_rowid": False},)

    address: str = Field(primary_key=True, sa_type=SafeText)
    reference: int = Field(primary_key=True, sa_type=BigInteger)
    delivered_at: int = Field(primary_key=True)


class SentDomain(Table, table=True):
    """How many addresses of a domain we mailed."""

    __tablename__ = "sent_domain"
    __table_args__ = ({"sqlite_with_rowid": False},)

    domain: str = Field(primary_key=True, sa_type=SafeText)
    addresses: int
