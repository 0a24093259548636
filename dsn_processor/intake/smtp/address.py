"""The arguments of MAIL and RCPT (RFC 5321 section 4.1.2): a path in angle brackets, then parameters."""

import re
import unicodedata
from typing import NamedTuple

#: Octets of a path (RFC 5321 section 4.5.3.1.3). A local part may fill it: return paths that name a recipient (VERP)
#: pass 64 octets every day, and a mail that is refused for its length is lost.
PATH_LIMIT = 256
DOMAIN_LIMIT = 255

_BRACKETS = re.compile(r'<((?:"(?:[^"\\]|\\.)*"|[^<>"])*)>')
_BARE = re.compile(r"[^<> ]++")
_SOURCE_ROUTE = re.compile(r"@[^:<>\" ]++:(?=.)")
_LOCAL = re.compile(r'"(?:[^"\\]|\\.)*"|[^ <>()\[\]\\,;:@"]++')
_DOMAIN = re.compile(r'[^ <>()\[\]\\,;:@"]++|\[[A-Za-z0-9.:_-]++\]')
_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*+)(?:=([^ ]++))?")
#: Categories of characters that nobody sees, or that are no text: format, surrogates, private, separators.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"})


class PathError(ValueError):
    """No path, or one whose address RFC 5321 does not allow."""


class ParameterError(ValueError):
    """Parameters that are none."""


class Argument(NamedTuple):
    """An address ("" is the null reverse-path) and parameters, names in capitals; a value "" is none."""

    address: str
    parameters: dict[str, str]


def mail_argument(text: str) -> Argument | None:
    """What stands after MAIL; None where that is not ``FROM:`` and a path. Raises PathError, ParameterError."""
    return _argument(text, "FROM:", sender=True)


def rcpt_argument(text: str) -> Argument | None:
    """What stands after RCPT; None where that is not ``TO:`` and a path. Raises PathError, ParameterError."""
    return _argument(text, "TO:", sender=False)


def _argument(text: str, keyword: str, *, sender: bool) -> Argument | None:
    if text[: len(keyword)].upper() != keyword:
        return None
    text = text[len(keyword) :].lstrip(" ")
    if match := _BRACKETS.match(text):
        path = match[1]
    elif match := _BARE.match(text):  # some leave the brackets out; half a pair is no address
        path = match[0]
    else:
        raise PathError
    rest = text[match.end() :]
    if rest and not rest.startswith(" "):
        raise PathError
    return Argument(_address(path, sender=sender), _parameters(rest))


def _address(path: str, *, sender: bool) -> str:
    if route := _SOURCE_ROUTE.match(path):  # to be ignored (RFC 5321 section 4.1.1.3)
        path = path[route.end() :]
    if not path and sender:
        return ""
    if len(path.encode()) > PATH_LIMIT:
        raise PathError
    local, at, domain = path.rpartition("@")
    if not at:
        # MAILER-DAEMON without a domain is a sender that exists; the one recipient is postmaster (section 4.5.1).
        local, domain = domain, "local"
        if not sender and local.casefold() != "postmaster":
            raise PathError
    if not _LOCAL.fullmatch(local) or not _DOMAIN.fullmatch(domain) or len(domain.encode()) > DOMAIN_LIMIT:
        raise PathError
    if not path.isascii() and any(unicodedata.category(character) in _UNSEEN for character in path):
        raise PathError
    return path


def _parameters(rest: str) -> dict[str, str]:
    parameters: dict[str, str] = {}
    for word in rest.split():
        match = _PARAMETER.fullmatch(word)
        if match is None or match[1].upper() in parameters:
            raise ParameterError
        parameters[match[1].upper()] = match[2] or ""
    return parameters
