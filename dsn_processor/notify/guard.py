"""Where webhooks may go. Whoever names a URL must not get our server to ask its own machine, network or cloud.

A URL is looked at twice: ``check_url`` when it is given and before each request, as far as the text tells; and
``check_addresses`` when its host has been resolved, over every address. The connection goes to an address that was checked,
never to the name again.
"""

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

import httpx

from dsn_processor.notify.options import IpNetwork, WebhookOptions
from dsn_processor.patterns import pattern

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_LONGEST = 2_000
_LABEL = pattern(r"[A-Za-z0-9_-]{1,63}")
# Global by the registry, and nothing on the Internet all the same: a cloud's metadata (Azure), relays of 6to4.
_NEVER = (ipaddress.ip_network("168.63.129.16/32"), ipaddress.ip_network("192.88.99.0/24"))
_UNICAST = ipaddress.IPv6Network("2000::/3")  # all that is handed out so far (RFC 4291 section 2.4)
_DOCUMENTATION = ipaddress.IPv6Network("3fff::/20")  # RFC 9637: younger than some Pythons
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052
_ISATAP = (0x0000_5EFE, 0x0200_5EFE)  # RFC 5214 section 6.1


class RefusedUrlError(ValueError):
    """A request may not go there; the text says why, and what would allow it."""


def check_url(url: str, options: WebhookOptions) -> httpx.URL:
    """The URL as it will be asked. Raises RefusedUrlError."""
    if len(url) > _LONGEST or not url.isprintable() or " " in url or "\\" in url:
        raise RefusedUrlError(
            "the URL has spaces, backslashes or controls in it, or is over 2,000 characters"
        )
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, ValueError, UnicodeError) as error:
        raise RefusedUrlError(f"this is no URL: {error}") from None
    if parsed.scheme != "https" and not (parsed.scheme == "http" and options.allow_http):
        raise RefusedUrlError("only https is allowed; [webhooks] allow_http = true allows http")
    if parsed.userinfo or "@" in parsed.netloc.decode("ascii", "replace"):
        raise RefusedUrlError("a URL must not hold a user name or password")
    if parsed.fragment or "#" in url:
        raise RefusedUrlError("a URL must not have a #fragment")
    port = parsed.port or {"https": 443, "http": 80}[parsed.scheme]
    if port not in options.port_numbers():
        raise RefusedUrlError(f"port {port} is not among [webhooks] ports")
    _check_host(parsed.raw_host.decode("ascii", "replace"), options)
    return parsed


def _check_host(host: str, options: WebhookOptions) -> None:
    literal = _literal(host)
    if literal is not None:
        check_addresses([str(literal)], options)
        return
    labels = host.rstrip(".").split(".")
    if len(host) > 253 or not all(map(_LABEL.fullmatch, labels)):
        raise RefusedUrlError("the URL names no host")
    if _number(labels[-1]):  # 127.1, 0x7f.1, 2130706433: resolvers read them as addresses (inet_aton(3))
        raise RefusedUrlError(f"{host} is no host name, and no IP address in its usual form")
    if labels[-1].lower() == "localhost" and not options.allow_networks:
        raise RefusedUrlError(f"{host} is this machine: [webhooks] allow_networks would allow it")


def _literal(host: str) -> IpAddress | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _number(label: str) -> bool:
    if label.isdecimal():
        return True
    digits = label.lower().removeprefix("0x")
    return digits != label.lower() and all(one in "0123456789abcdef" for one in digits)


def check_addresses(addresses: Sequence[str], options: WebhookOptions) -> None:
    """Raises RefusedUrlError unless each of a host's addresses is one of the public Internet, or listed."""
    if not addresses:
        raise RefusedUrlError("the host has no address")
    allowed = _networks(options.allow_networks)
    for text in addresses:
        try:
            address = ipaddress.ip_address(text.partition("%")[0])
        except ValueError:
            raise RefusedUrlError(f"{text} is no IP address") from None
        if not (is_public(address) or any(_among(one, allowed) for one in (address, *_inside(address)))):
            raise RefusedUrlError(
                f"{text} is no address of the public Internet: [webhooks] allow_networks would allow it"
            )


@lru_cache(maxsize=8)
def _networks(texts: tuple[str, ...]) -> tuple[IpNetwork, ...]:
    return tuple(map(ipaddress.ip_network, texts))


def is_public(address: IpAddress) -> bool:
    """Whether this is global unicast; of an IPv6 address that stands for an IPv4 one, or tunnels to it: whether that is."""
    inside = list(_inside(address))
    if inside:
        return all(map(is_public, inside))
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global and not address.is_multicast and not _among(address, _NEVER)
    return address.is_global and address in _UNICAST and address not in _DOCUMENTATION


def _inside(address: IpAddress) -> Iterator[ipaddress.IPv4Address]:
    """The IPv4 addresses that packets for this one end at."""
    if isinstance(address, ipaddress.IPv4Address):
        return
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    low = int(address) & 0xFFFF_FFFF
    if address in _NAT64 or int(address) >> 32 & 0xFFFF_FFFF in _ISATAP:
        yield ipaddress.IPv4Address(low)


def _among(address: IpAddress, networks: Iterable[IpNetwork]) -> bool:
    return any(address in network for network in networks)
