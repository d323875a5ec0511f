"""Which network addresses anybody may be sent to."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

_UNICAST = IPv6Network("2000::/3")
_TRANSLATED = IPv6Network("64:ff9b::/96")
"""IPv6 addresses that a network translates to IPv4 ones, which they end with."""


def is_public(host: str) -> bool:
    """Whether an address is one of the internet's, and not of this machine or its network.

    An IPv6 address that stands for an IPv4 address is as public as that.

    Args:
        host: the address, as `getaddrinfo` tells it.

    Raises:
        ValueError: it is none.

    """
    address = ip_address(host.partition("%")[0])
    if isinstance(address, IPv4Address):
        return _is_public(address)
    meant = _ipv4_of(address)
    if meant is not None:
        return _is_public(meant)
    return address in _UNICAST and address.is_global


def _is_public(address: IPv4Address) -> bool:
    return address.is_global and not address.is_multicast


def _ipv4_of(address: IPv6Address) -> IPv4Address | None:
    if address in _TRANSLATED:
        return IPv4Address(address.packed[-4:])
    return address.ipv4_mapped or address.sixtofour
