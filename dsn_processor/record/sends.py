"""The registry of sends: what went to whom. Written in thousands, asked for a batch of reports at a time."""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import text
from sqlalchemy.engine import Connection

from dsn_processor.canonical import canonical_address, reference
from dsn_processor.facts import COUNTED_RECIPIENTS, Send, SentMessage
from dsn_processor.record.columns import storable, storable_json
from dsn_processor.record.rows import LOOKUP_LIMIT

_ADDRESS = text(
    "INSERT INTO sent_address (address, mailing_list) VALUES (:address, :mailing_list) "
    "ON CONFLICT (address) DO UPDATE SET mailing_list = 1 WHERE excluded.mailing_list AND NOT mailing_list"
)
_ADDRESS_IDS = text(
    "SELECT address, id, mailing_list FROM sent_address WHERE address IN (SELECT value FROM json_each(:wanted))"
)
_LABEL = text("INSERT OR IGNORE INTO sent_label (words) VALUES (:words)")
_LABEL_IDS = text("SELECT words, id FROM sent_label WHERE words IN (SELECT value FROM json_each(:wanted))")
# What was registered first stands; what only a delivery told of is completed.
_MAIL = text(
    "INSERT INTO sent_mail (reference, address_id, message_id, label_id, sent_at) "
    "VALUES (:reference, :address, :message_id, :label, :sent_at) "
    "ON CONFLICT (reference, address_id) DO UPDATE SET label_id = excluded.label_id, sent_at = excluded.sent_at, "
    "message_id = excluded.message_id WHERE sent_mail.label_id IS NULL"
)
_DELIVERY = text(
    "INSERT INTO sent_mail (reference, address_id, message_id, sent_at, delivered_at) "
    "VALUES (:reference, :address, :message_id, :delivered_at, :delivered_at) "
    "ON CONFLICT (reference, address_id) DO UPDATE SET delivered_at = excluded.delivered_at "
    "WHERE coalesce(sent_mail.delivered_at, 0) < excluded.delivered_at"
)
# Each end of an index is one step: whether a message went to one or to a million is told as fast.
_SPANS = text(
    "SELECT value, "
    "(SELECT min(address_id) FROM sent_mail WHERE reference = value), "
    "(SELECT max(address_id) FROM sent_mail WHERE reference = value) "
    "FROM json_each(:references)"
)
_HOW_MANY = text(
    "SELECT value, (SELECT count(*) FROM (SELECT 1 FROM sent_mail WHERE reference = value LIMIT :most)) "
    "FROM json_each(:references)"
)
_PAIRS = text(
    "SELECT mail.reference, mail.message_id, mail.sent_at, mail.delivered_at, label.words, sent_address.address, "
    "sent_address.mailing_list "
    "FROM json_each(:pairs) AS pair "
    "JOIN sent_mail AS mail ON mail.reference = json_extract(pair.value, '$[0]') AND mail.address_id = json_extract(pair.value, '$[1]') "
    "JOIN sent_address ON sent_address.id = mail.address_id "
    "LEFT JOIN sent_label AS label ON label.id = mail.label_id"
)
_ANY = text("SELECT EXISTS (SELECT 1 FROM sent_mail)")
_COUNT = text("SELECT count(*), count(delivered_at), min(sent_at), max(sent_at) FROM sent_mail")
_ADDRESSES = text("SELECT count(*) FROM sent_address")
_OLDEST = text(
    "SELECT id, address_id FROM (SELECT * FROM sent_mail WHERE id > :after ORDER BY id LIMIT :limit) "
    "WHERE max(sent_at, coalesce(delivered_at, 0)) < :before"
)
_LAST = text("SELECT max(id) FROM (SELECT id FROM sent_mail WHERE id > :after ORDER BY id LIMIT :limit)")
# Where nothing ever failed, and nobody did anything, a delivery takes nothing away.
_KEEP_DELIVERIES = text(
    "INSERT OR IGNORE INTO delivery (address, reference, delivered_at) "
    "SELECT address, reference, delivered_at FROM sent_mail JOIN sent_address ON sent_address.id = address_id "
    "WHERE sent_mail.id IN (SELECT value FROM json_each(:ids)) AND delivered_at IS NOT NULL "
    "AND (EXISTS (SELECT 1 FROM recipient_event WHERE canonical = sent_address.address) "
    "OR EXISTS (SELECT 1 FROM recipient_event WHERE mailed_address = sent_address.address) "
    "OR EXISTS (SELECT 1 FROM manual_act WHERE manual_act.address = sent_address.address))"
)
_DROP = text("DELETE FROM sent_mail WHERE id IN (SELECT value FROM json_each(:ids))")
_DROP_ADDRESSES = text(
    "DELETE FROM sent_address WHERE id IN (SELECT value FROM json_each(:ids)) AND NOT mailing_list "
    "AND NOT EXISTS (SELECT 1 FROM sent_mail WHERE address_id = sent_address.id) RETURNING address"
)

_DOMAIN = text(
    "INSERT INTO sent_domain (domain, addresses) VALUES (:domain, :addresses) "
    "ON CONFLICT (domain) DO UPDATE SET addresses = addresses + excluded.addresses"
)

_Label = tuple[str | None, str | None, tuple[tuple[str, str], ...]]  # stream, campaign, tags
_NO_LABEL = json.dumps([None, None, []])


class SendStats(NamedTuple):
    """How many mails are registered, how many of them delivered, to how many addresses; the first and last time."""

    mails: int
    delivered: int
    addresses: int
    first: datetime | None
    last: datetime | None


def add(connection: Connection, sends: Sequence[Send]) -> int:
    """Register mails. Returns how many were new, or had been known by their delivery alone."""
    if not sends:
        return 0
    addresses = _address_ids(connection, sends)
    words = {label: _words(label) for label in set(map(_label, sends))}
    connection.execute(_LABEL, [{"words": one} for one in words.values()])
    known = connection.execute(_LABEL_IDS, _json(wanted=list(words.values())))
    ids = {row.words: row.id for row in known}
    labels = {label: ids[one] for label, one in words.items()}
    rows = [
        {
            "reference": reference(send.message_id),
            "address": addresses[_lookup(send.recipient)],
            "message_id": storable(send.message_id),
            "label": labels[_label(send)],
            "sent_at": _seconds(send.sent_at),
        }
        for send in sends
    ]
    return connection.execute(_MAIL, rows).rowcount


def deliver(connection: Connection, sends: Sequence[Send]) -> int:
    """Note deliveries, at ``delivered_at`` of each; mails that nobody registered are taken in. Returns how many were new."""
    if not sends:
        return 0
    addresses = _address_ids(connection, sends)
    rows = [
        {
            "reference": reference(send.message_id),
            "address": addresses[_lookup(send.recipient)],
            "message_id": storable(send.message_id),
            "delivered_at": _seconds(send.delivered_at or send.sent_at),
        }
        for send in sends
    ]
    return connection.execute(_DELIVERY, rows).rowcount


def any_sends(connection: Connection) -> bool:
    return bool(connection.scalar(_ANY))


def find(connection: Connection, wanted: Mapping[int, Collection[str]]) -> dict[int, SentMessage]:
    """What is known of these references: of one that went to several recipients the sends to those asked for, canonical
    addresses; else the only one.
    """
    if not wanted:
        return {}
    spans = {
        row[0]: (row[1], row[2])
        for row in connection.execute(_SPANS, _json(references=list(wanted)))
        if row[1] is not None
    }
    shared = [key for key, (first, last) in spans.items() if first != last]
    ids = _known_ids(connection, {_lookup(one) for key in shared for one in wanted[key]})
    pairs = [(key, first) for key, (first, last) in spans.items() if first == last]
    pairs += [(key, ids[one]) for key in shared for one in map(_lookup, wanted[key]) if one in ids]
    sends: dict[int, list[Send]] = {key: [] for key in spans}
    for row in connection.execute(_PAIRS, _json(pairs=list(dict.fromkeys(pairs)))):
        sends[row.reference].append(_send(row))
    numbers: dict[int, int] = {}
    if shared:
        rows = connection.execute(_HOW_MANY, {**_json(references=shared), "most": COUNTED_RECIPIENTS + 1})
        numbers = {row[0]: row[1] for row in rows}
    return {key: SentMessage(tuple(found), numbers.get(key, 1)) for key, found in sends.items()}


def mailed(connection: Connection, addresses: Collection[str]) -> dict[str, bool]:
    """Of these canonical addresses those that we mailed, and whether each hands mail on to many."""
    rows = connection.execute(_ADDRESS_IDS, _json(wanted=list(map(_lookup, addresses))))
    found = {row.address: bool(row.mailing_list) for row in rows}
    return {address: found[_lookup(address)] for address in addresses if _lookup(address) in found}


def drop_older(connection: Connection, before: datetime, *, after: int = 0, limit: int) -> tuple[int, int]:
    """Forget mails sent and delivered before that time, among the first ``limit`` beyond the id ``after``; deliveries to
    addresses that mail failed for stay known. Returns how many went, and the last id looked at, 0 at the end. Registered as
    they are sent, the oldest have the lowest ids.
    """
    given = {"after": after, "limit": limit}
    last = connection.scalar(_LAST, given) or 0
    rows = connection.execute(_OLDEST, {**given, "before": _seconds(before)}).all()
    if rows:
        ids = _json(ids=[row.id for row in rows])
        connection.execute(_KEEP_DELIVERIES, ids)
        connection.execute(_DROP, ids)
        gone = connection.scalars(_DROP_ADDRESSES, _json(ids=list({row.address_id for row in rows})))
        _count_domains(connection, gone.all(), -1)
    return len(rows), last


def stats(connection: Connection) -> SendStats:
    mails, delivered, first, last = connection.execute(_COUNT).one()
    return SendStats(
        mails, delivered, connection.scalar(_ADDRESSES) or 0, first and _time(first), last and _time(last)
    )


def _address_ids(connection: Connection, sends: Iterable[Send]) -> dict[str, int]:
    """The numbers of the recipients, given to those that have none."""
    lists: dict[str, bool] = {}
    for send in sends:
        address = _lookup(send.recipient)
        lists[address] = lists.get(address, False) or send.mailing_list
    known = _known_ids(connection, lists.keys())
    new = [
        {"address": address, "mailing_list": flag}
        for address, flag in lists.items()
        if flag or address not in known
    ]
    if new:
        connection.execute(_ADDRESS, new)
        _count_domains(connection, (one for one in lists if one not in known), 1)
        known |= _known_ids(connection, lists.keys() - known.keys())
    return known


def _count_domains(connection: Connection, addresses: Iterable[str], sign: int) -> None:
    """Keep how many addresses of each domain there are."""
    found = Counter(address.rpartition("@")[2] for address in addresses)
    rows = [{"domain": domain, "addresses": sign * number} for domain, number in found.items()]
    if rows:
        connection.execute(_DOMAIN, rows)


def _known_ids(connection: Connection, addresses: Iterable[str]) -> dict[str, int]:
    return {row.address: row.id for row in connection.execute(_ADDRESS_IDS, _json(wanted=list(addresses)))}


def _lookup(address: str) -> str:
    """An address as it is kept: canonical, and no longer than an index takes."""
    return storable(canonical_address(address))[:LOOKUP_LIMIT]


def _label(send: Send) -> _Label:
    return send.stream, send.campaign, send.tags


def _words(label: _Label) -> str:
    return json.dumps(storable_json(label), ensure_ascii=False)


def _send(row: Any) -> Send:
    stream, campaign, tags = json.loads(row.words or _NO_LABEL)
    return Send(
        message_id=row.message_id,
        recipient=row.address,
        sent_at=_time(row.sent_at),
        stream=stream,
        campaign=campaign,
        tags=tuple((name, value) for name, value in tags),
        mailing_list=bool(row.mailing_list),
        delivered_at=None if row.delivered_at is None else _time(row.delivered_at),
    )


def _json(**values: list[Any]) -> dict[str, str]:
    return {name: json.dumps(value) for name, value in values.items()}


def _seconds(time: datetime) -> int:
    return int(time.timestamp())


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
