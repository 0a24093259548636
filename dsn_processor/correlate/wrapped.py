"""Addresses inside addresses: what a signing or forwarding MTA put around the one that was written, and VERP.

None of it is proof: whoever knows the form can write it. It says which address to ask about.
"""

import re

from dsn_processor.patterns import pattern

_LAYERS = 6  # of wrapping that are taken off
_CANDIDATES = 8
_LONGEST = 400  # characters of an address that are looked at

_DOMAIN = r"[\w-]{1,63}(?:\.[\w-]{1,63}){1,12}"
# SRS0=hash=time=domain=local@forwarder; the first separator may be + or -, a shortcut keeps the others
_SRS0 = pattern(r"srs0[=+-][^=]{1,40}=[^=]{1,10}=(" + _DOMAIN + r")=(.+)", re.IGNORECASE)
# SRS1=hash=first forwarder==hash=time=domain=local@second forwarder: what follows the first forwarder is its SRS0
_SRS1 = pattern(r"srs1[=+-][^=]{1,40}=" + _DOMAIN + r"=([=+-].+)", re.IGNORECASE)
# tag type, "=", tag, "=", the local part as it was: BATV (prvs), its kin of Barracuda (btv1) and of Momentum (msprvs1)
_TAGGED = pattern(r"(?:prvs|msprvs\d|btv\d)=(?:=?[0-9a-z_-]{6,40}==?)(.+)", re.IGNORECASE)
_TAG_LAST = pattern(r"prvs=(.+)[=/][0-9a-f]{6,10}", re.IGNORECASE)  # an early form

# ezmlm: list-return-123-user=example.net; list-return-warn-epoch.cookie-user=example.net
_EZMLM = pattern(
    r".+?-return-(?:(?:warn|probe)-)?[0-9]{1,20}(?:\.[a-z]{1,40})?-(.+[^=]=" + _DOMAIN + ")", re.IGNORECASE
)
# bounce+user==a==example.net==list
_SYMPA = pattern(r"bounce\+(.+?)==a==(" + _DOMAIN + r")(?:==.+)?", re.IGNORECASE)
_SPELLED = pattern(r"(.+?)(?:=at=|--at--|_at_)(" + _DOMAIN + ")", re.IGNORECASE)
_EQUALS = pattern("(.+[^=])=(" + _DOMAIN + ")")
_NUMBERS = pattern(r"(?:[0-9]{1,20}|[0-9a-f]{4,40})-(?=.)", re.IGNORECASE)  # counters before the user
_USER = pattern(r"[\w!#$%&'*+/?^`{|}~.=-]{1,64}")


def unwrapped(address: str) -> str:
    """The address that BATV (``prvs=``) and SRS (``SRS0=``, ``SRS1=``) were put around; itself where none was."""
    if len(address) > _LONGEST:
        return address
    for _ in range(_LAYERS):
        local, at, domain = address.rpartition("@")
        if second := _SRS1.fullmatch(local):
            address = f"srs0{second[1]}@{domain}"
        elif first := _SRS0.fullmatch(local):
            address = f"{first[2]}@{first[1]}"
        elif tagged := _TAGGED.fullmatch(local) or _TAG_LAST.fullmatch(local):
            address = f"{tagged[1]}{at}{domain}"
        else:
            break
    return address


def verp_addresses(address: str) -> tuple[str, ...]:
    """The addresses that a return path may hold in its local part (VERP), the likeliest first: where nothing says where
    the prefix ends, each delimiter may be it. None where there is no sign of VERP.
    """
    local = unwrapped(address[:_LONGEST]).rpartition("@")[0]
    if sympa := _SYMPA.fullmatch(local):
        return _sound([sympa[1]], sympa[2])
    if ezmlm := _EZMLM.fullmatch(local):
        user, _, domain = ezmlm[1].rpartition("=")
        return _sound([user], domain)
    found = _SPELLED.fullmatch(local) or _EQUALS.fullmatch(local)
    if found is None:
        return ()
    prefixed, domain = found[1], found[2]
    prefix, plus, users = prefixed.partition("+")
    if not plus or not prefix:
        prefix, plus, users = prefixed.partition("-")
    if not plus or not prefix:
        return ()
    return _sound(_users(users), domain)


def _users(text: str) -> list[str]:
    """What may be the user: without counters, then with them, then after each further delimiter."""
    users: list[str] = []
    bare = text
    while counter := _NUMBERS.match(bare):
        bare = bare[counter.end() :]
        users.insert(0, bare)
    users.append(text)
    rest = bare
    while "-" in rest:
        rest = rest.partition("-")[2]
        users.append(rest)
    return users


def _sound(users: list[str], domain: str) -> tuple[str, ...]:
    good = [user for user in users if _USER.fullmatch(user)]
    return tuple(dict.fromkeys(f"{user}@{domain}" for user in good))[:_CANDIDATES]
