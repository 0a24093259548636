"""Accounts as they are written: tables of which there may be any number, completed by variables that name the account.

[[imap]]                        DSN_PROCESSOR__IMAP__BOUNCES__PASSWORD
name = "bounces"                DSN_PROCESSOR__IMAP__BOUNCES__OAUTH2__CLIENT_SECRET
[imap.oauth2]
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any, NamedTuple, TypeVar

from pydantic import ValidationError

from dsn_processor.errors import ConfigurationError
from dsn_processor.intake.mailbox.options import AccountOptions, OAuthOptions
from dsn_processor.notify.people.options import NotifyOptions
from dsn_processor.settings import sources
from dsn_processor.settings.keys import OAUTH, REQUIRED, Key, account_keys, read_value, wanted
from dsn_processor.settings.model import ACCOUNTS
from dsn_processor.settings.sources import File, Given

_T = TypeVar("_T")

#: Ways to give the same: a variable takes the place of whichever the file has.
_ALTERNATIVES = (
    ("password", "password_file", "password_command"),
    ("client_secret", "client_secret_file"),
    ("urls", "urls_file"),
)
#: In place of one that is wrong, so that the rest of the account can be checked.
_STAND_IN = OAuthOptions(provider="google", client_id="none", refresh_token_file="none")  # noqa: S106  a file's name


class Written(NamedTuple):
    """A key with what somebody wrote for it. An account's key has its name in the section: imap.bounces."""

    key: Key
    given: Given


@dataclass(slots=True)
class _Draft:
    """An account as far as it is known. ``given`` is by table ("" or oauth2) and name of the key; ``place`` is where
    the account is begun.
    """

    kind: str
    label: str
    place: str
    given: dict[tuple[str, str], Given] = field(default_factory=dict)

    def key(self, table: str, name: str) -> Key:
        return account_keys()[_dotted(self.kind, table), name]

    def told(self, table: str = "") -> str:
        return _dotted(self.label, table)


def read_accounts(
    file: File | None, environ: Mapping[str, str], problems: list[str]
) -> tuple[dict[str, tuple[Any, ...]], list[Written]]:
    """The accounts by kind, and what was written of them. Mistakes are added to ``problems``."""
    drafts = list(_from_file(file, problems)) if file else []
    drafts += _from_environment(drafts, environ, problems)
    _check_names(drafts, problems)
    accounts: dict[str, tuple[Any, ...]] = dict.fromkeys(ACCOUNTS, ())
    written = []
    for draft in drafts:
        account = _build(draft, problems)
        if account is not None:
            accounts[draft.kind] += (account,)
        written += [
            Written(draft.key(table, name)._replace(section=draft.told(table)), one)
            for (table, name), one in draft.given.items()
        ]
    return accounts, written


def _from_file(file: File, problems: list[str]) -> Iterator[_Draft]:
    for kind in ACCOUNTS:
        tables = file.values.get(kind, [])
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            where = file.origin(kind, "", ("", kind))
            problems.append(
                f"{where}: {kind} is a list of accounts: write [[{kind}]] above each, in double brackets"
            )
            continue
        for index, table in enumerate(tables):
            name = table.get("name")
            place = f"{kind}[{index}]"
            label = f"{kind}.{name}" if isinstance(name, str) and name else place
            draft = _Draft(kind, label, file.origin(place, ""))
            for (inner, key), given in _given_in(file, place, table):
                if not key:
                    problems.append(
                        f"{given.origin}: {label}.{OAUTH} is a table: write [{kind}.{OAUTH}] below the account"
                    )
                elif (_dotted(kind, inner), key) in account_keys():
                    draft.given[inner, key] = given
                else:
                    problems.append(f"{given.origin}: {_unknown(draft, inner, key)}")
            yield draft


def _given_in(file: File, place: str, table: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str], Given]]:
    for name, value in table.items():
        if name != OAUTH:
            yield ("", name), Given(value, file.origin(place, name, (place, "")))
        elif not isinstance(value, dict):
            yield (OAUTH, ""), Given(value, file.origin(place, name, (place, "")))
        else:
            inner = f"{place}.{OAUTH}"
            for key, one in value.items():
                yield (
                    (OAUTH, key),
                    Given(one, file.origin(inner, key, (inner, ""), (place, OAUTH), (place, ""))),
                )


def _from_environment(drafts: list[_Draft], environ: Mapping[str, str], problems: list[str]) -> list[_Draft]:
    """Complete accounts by what variables say; returns those that only variables tell of."""
    known = {f"{draft.kind}.{in_variables(draft.label.partition('.')[2])}": draft for draft in drafts}
    new: dict[str, _Draft] = {}
    for variable, kind, rest in sources.names_in(environ):
        if kind not in ACCOUNTS:
            continue
        account, _, path = rest.partition("__")
        table, _, name = path.rpartition("__")
        label = f"{kind}.{account}"
        draft = known.get(label) or new.get(label) or _Draft(kind, label, f"${variable}")
        if not account or name == "name" or not _settable(kind, table, name):
            told = _unknown(draft, table, name) if account else f"there is no key {kind}"
            problems.append(
                f"${variable} sets nothing: {told}; it has to be {sources.PREFIX}{kind.upper()}__NAME__KEY"
            )
        elif label not in known and label not in new:
            draft.given["", "name"] = Given(account, f"${variable}")
            new[label] = draft
    for label, draft in (known | new).items():
        _complete(draft, label.partition(".")[2], environ, problems)
    return list(new.values())


def _settable(kind: str, table: str, name: str) -> bool:
    section = _dotted(kind, table)
    return (section, name) in account_keys() or (section, name.removesuffix("_file")) in account_keys()


def _complete(draft: _Draft, account: str, environ: Mapping[str, str], problems: list[str]) -> None:
    for table, name in [
        (section.partition(".")[2], name)
        for section, name in account_keys()
        if section.partition(".")[0] == draft.kind and name != "name"
    ]:
        section = "__".join(part for part in (draft.kind, account, table) if part)
        # Where a key of its own names the file, its variable is no second way to say the same.
        with_file = (_dotted(draft.kind, table), f"{name}_file") not in account_keys()
        try:
            given = sources.from_environment(section, name, environ, with_file=with_file)
        except ConfigurationError as error:
            problems.append(str(error))
            continue
        if given is None:
            continue
        for other in next((names for names in _ALTERNATIVES if name in names), ()):
            before = draft.given.get((table, other))
            if before is not None and not before.text:
                del draft.given[table, other]
        draft.given[table, name] = given


def _check_names(drafts: list[_Draft], problems: list[str]) -> None:
    taken: dict[str, _Draft] = {}
    for draft in drafts:
        given = draft.given.get(("", "name"))
        if given is None or not isinstance(given.value, str):
            continue
        other = taken.setdefault(in_variables(given.value), draft)
        if other is not draft:
            problems.append(
                f"{given.origin}: {draft.told()} has the name of {other.told()}, or one that variables cannot tell from it: "
                "give it another"
            )


def _build(draft: _Draft, problems: list[str]) -> AccountOptions | NotifyOptions | None:
    """The account, or None where something is wrong with it."""
    inner = {name: given for (table, name), given in draft.given.items() if table}
    outer = {name: given for (table, name), given in draft.given.items() if not table}
    values = _converted(draft, "", outer, problems)
    if not inner:
        return _make(ACCOUNTS[draft.kind], draft, "", values, outer, problems)
    tokens = _make(OAuthOptions, draft, OAUTH, _converted(draft, OAUTH, inner, problems), inner, problems)
    account = _make(ACCOUNTS[draft.kind], draft, "", {**values, OAUTH: tokens or _STAND_IN}, outer, problems)
    if not isinstance(account, AccountOptions) or tokens is None:
        return None
    return replace(account, oauth2=tokens)


def _converted(draft: _Draft, table: str, given: Mapping[str, Given], problems: list[str]) -> dict[str, Any]:
    values = {}
    for name, one in given.items():
        path = f"{draft.told(table)}.{name}"
        try:
            values[name] = read_value(draft.key(table, name), one)
        except ValidationError as error:
            problems.append(f"{one.origin}: {path} has to be {wanted(error)}")
        except ValueError as error:
            problems.append(f"{one.origin}: {path}: {error}")
    return values


def _make(
    kind: type[_T],
    draft: _Draft,
    table: str,
    values: dict[str, Any],
    given: Mapping[str, Given],
    problems: list[str],
) -> _T | None:
    """``kind`` of these values. What options say of a mistake begins with the key it is about: without that value, they
    are asked for the next.
    """
    mine = [key for key in account_keys().values() if key.section == _dotted(draft.kind, table)]
    needed = {key.name for key in mine if key.default is REQUIRED}
    problems += [
        f'{draft.place}: {draft.told(table)} has no {name}: write {name} = "..."'
        for name in sorted(needed - given.keys())
    ]
    values = dict.fromkeys(needed, "none") | values
    told = given.keys() - values.keys()
    sound = not told and needed <= given.keys()
    while True:
        try:
            made = kind(**values)
        except ValueError as error:
            name = re.split(r"\W", str(error), maxsplit=1)[0]
            if name in told or not (sound or name in given):  # that comes of a value that was left out
                return None
            told.add(name)
            sound = False
            place = given[name].origin if name in given else draft.place
            problems.append(f"{place}: {draft.told(table)}.{error}")
            if name not in values:
                return None
            del values[name]
            values = dict.fromkeys(needed, "none") | values
        else:
            return made if sound else None


def _unknown(draft: _Draft, table: str, name: str) -> str:
    """What is unknown, and what was meant."""
    sections = (_dotted(draft.kind, table), f"{draft.kind}.{OAUTH}", draft.kind)
    said = f"there is no key {_dotted(draft.told(table), name)}"
    for section in sections:
        mates = [key for owner, key in account_keys() if owner == section]
        if near := get_close_matches(name, mates, n=1):
            inner = section.partition(".")[2]
            return f"{said}: did you mean {_dotted(draft.told(inner), near[0])}?"
    mates = [key for owner, key in account_keys() if owner == sections[0]]
    return f"{said}: there are {', '.join(mates)}"


def in_variables(name: str) -> str:
    """An account's name as variables have it, in lower case."""
    return re.sub(r"[.-]", "_", name).lower()


def _dotted(*parts: str) -> str:
    return ".".join(part for part in parts if part)
