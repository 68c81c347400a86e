"""Reaching a host by name without being led elsewhere: resolved once, every address checked, the checked one connected.

Resolving again at the time of the connection would let a name server answer differently (DNS rebinding). Every
spelling of an address (decimal, octal, short, mapped) goes through the resolver and is checked as what it resolves to.
"""

import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from tallyport.connectors import reach
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.hosts import refusal

if TYPE_CHECKING:
    import urllib3
    from urllib3.util import Timeout

SETTING = reach.PRIVATE_NETWORKS


class Place(NamedTuple):
    """Where an address on the web leads: the name it has, and the checked address to connect to."""

    scheme: str
    host: str
    port: int
    target: str  # path and query
    address: str


def pinned(host: str, port: int, *, allow_private: bool) -> str:
    """Resolve a host once and give the address to connect to; refuse when any of its addresses is refused."""
    return addresses(host, port, allow_private=allow_private)[0]


def addresses(host: str, port: int, *, allow_private: bool) -> Sequence[str]:
    """Resolve a host once and give all of its addresses; refuse when any of them is refused."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise TallyportError(
            ErrorKind.UNAVAILABLE,
            f"the host {host[:200]!r} cannot be resolved: {error}",
            operation="open",
            setting="host",
        ) from error
    named = list(dict.fromkeys(str(one[4][0]) for one in found))
    for address in named:
        why = refusal(address, allow_private=allow_private)
        if why is not None:
            hint = "" if allow_private or "link-local" in why else f": see the setting {SETTING}"
            message = f"the host {host[:200]!r} leads to {address}, which {why}{hint}"
            raise TallyportError(ErrorKind.CONFIG, message, operation="open", setting="host")
    return named


def connect(host: str, port: int, timeout: float | None) -> socket.socket:
    """Connect for a connector: the name is resolved here and nowhere else, and what was checked is what is connected.

    Raises TallyportError for a name that leads where no connection may, OSError when nobody answers.
    """
    *earlier, last = addresses(host, port, allow_private=reach.reaches_private_networks())
    for address in earlier:
        try:
            return socket.create_connection((address, port), timeout)
        except OSError:
            continue
    return socket.create_connection((last, port), timeout)


def locate(url: str, *, allow_private: bool) -> Place:
    """Read the address of something on the web and check where it leads. Raises CONFIG when it is not to be reached."""
    scheme, host, port, target = parts(url, allow_plain=allow_private)
    return Place(scheme, host, port, target, pinned(host, port, allow_private=allow_private))


def parts(url: str, *, allow_plain: bool) -> tuple[str, str, int, str]:
    """Take an address apart: scheme, host, port, path with query. Raises CONFIG for one that is ambiguous or plain."""
    try:
        found = urlsplit(url)
        port = found.port
    except ValueError as error:
        raise _bad(f"is no address on the web: {error}") from error
    if found.scheme not in ("https", "http") or not found.hostname:
        raise _bad("must begin with https:// and name a host")
    if found.scheme == "http" and not allow_plain:
        raise _bad(f"must begin with https:// (http:// needs the setting {SETTING})")
    if found.username is not None or found.password is not None or "\\" in url or not url.isprintable() or " " in url:
        raise _bad("holds a user name, a backslash or a character that does not belong in an address")
    if found.fragment:
        raise _bad("holds a fragment, which is never sent")
    default = 443 if found.scheme == "https" else 80
    target = found.path or "/"
    return found.scheme, found.hostname, port or default, f"{target}?{found.query}" if found.query else target


def pool(place: Place, timeout: "Timeout") -> "urllib3.HTTPConnectionPool":
    """Make a pool that connects to the checked address, under the name: no proxy, no redirect, no retry of its own."""
    import urllib3  # who speaks another protocol does without

    if place.scheme == "https":
        return urllib3.HTTPSConnectionPool(
            place.address,
            place.port,
            timeout=timeout,
            retries=False,
            maxsize=1,
            server_hostname=place.host,
            assert_hostname=place.host,
            cert_reqs="CERT_REQUIRED",
        )
    return urllib3.HTTPConnectionPool(place.address, place.port, timeout=timeout, retries=False, maxsize=1)


def host_header(place: Place) -> str:
    """Give what the Host header of a request says."""
    name = f"[{place.host}]" if ":" in place.host else place.host
    is_default = place.port == (443 if place.scheme == "https" else 80)
    return name if is_default else f"{name}:{place.port}"


def _bad(message: str) -> TallyportError:
    return TallyportError(ErrorKind.CONFIG, message, operation="open")
