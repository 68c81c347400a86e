"""The token of a request, in every form a header may carry it."""

from collections.abc import Iterable

from tallyport.control.refusals import NotSignedIn

_SCHEMES = frozenset({"qsdk", "bearer", "saml"})


def token_of(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """Give the token, or None when there is none. Two that differ are refused: it is not clear who asks."""
    found = set()
    for name, value in headers:
        if name == b"authorization":
            found.add(_bearer(value.decode("latin-1")))
        elif name == b"authtoken":
            found.add(_bare(value.decode("latin-1")))
    found.discard(None)
    if len(found) > 1:
        raise NotSignedIn("the headers Authorization and Authtoken carry different tokens")
    return found.pop() if found else None


def _bearer(value: str) -> str | None:
    scheme, _, rest = value.strip().partition(" ")
    return "".join(rest.split()) or None if scheme.lower() == "bearer" else None


def _bare(value: str) -> str | None:
    """Read a token with or without a scheme word; white space inside is where a long header was folded."""
    words = value.split()
    if words and words[0].lower() in _SCHEMES:
        del words[0]
    return "".join(words) or None
