"""Which addresses a server may be sent to: nobody is to reach through it what they cannot reach themselves."""

import ipaddress

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_SHARED = ipaddress.ip_network("100.64.0.0/10")
_NAT64 = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"))
_METADATA = (
    ipaddress.ip_address("169.254.169.254"),
    ipaddress.ip_address("fd00:ec2::254"),
    ipaddress.ip_address("100.100.100.200"),
    ipaddress.ip_address("168.63.129.16"),
)


def refusal(text: str, *, allow_private: bool) -> str | None:
    """Say why an address must not be reached, or None.

    Never: what is no single host, and where clouds hand out credentials. Private networks and this machine itself only
    when they are allowed. An address that stands for another (mapped, translated, tunnelled) is that other one.
    """
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return "is no address"
    meant = _meant(address)
    if any(one in _METADATA or one.is_link_local for one in meant):
        return "is link-local, where clouds hand out credentials"
    if any(one.is_unspecified or one.is_multicast or _is_reserved(one) for one in meant):
        return "is not the address of one host"
    if allow_private:
        return None
    if any(one.is_loopback for one in meant):
        return "is this machine itself"
    if any(not one.is_global or one in _SHARED for one in meant if one.version == 4):
        return "is in a private network"
    if any(not one.is_global or one.is_site_local for one in meant if one.version == 6 and len(meant) == 1):
        return "is in a private network"
    return None


def _meant(address: Address) -> list[Address]:
    """Give an address and those that stand in it."""
    if isinstance(address, ipaddress.IPv4Address):
        return [address]
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    found: list[Address] = [address]
    if address.sixtofour is not None:
        found.append(address.sixtofour)
    if address.teredo is not None:
        found.extend(address.teredo)
    if any(address in network for network in _NAT64) or (int(address) >> 32 == 0 and int(address) > 1):
        found.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return found


def _is_reserved(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_reserved or int(address) >> 24 == 0
    # IPv6 calls everything outside 2000::/3 reserved, the translated addresses looked into above among it.
    return False
