"""Content in slices, and what is kept of an upload in parts: its handle, and a receipt for each part."""

from collections.abc import Iterable, Iterator, Sequence

from tallyport.connectors.protocol import Facts
from tallyport.connectors.s3_errors import refusal
from tallyport.connectors.s3_settings import LIMITS, PART
from tallyport.domain.errors import ErrorKind


def check_size(path: str, size: int) -> None:
    most = LIMITS.max_size
    if most is not None and size > most:
        raise refusal(
            ErrorKind.TOO_LARGE, "write", path, f"it has more than the {most} bytes that are carried in parts"
        )


def check_announced(path: str, facts: Facts, size: int, content: bytes) -> None:
    if facts.size is not None and facts.size != size:
        why = f"{facts.size} bytes were announced and {size} came"
        raise refusal(ErrorKind.CHANGED_DURING_COPY, "write", path, why)
    if facts.hash is not None and facts.hash != content:
        raise refusal(ErrorKind.CORRUPT, "write", path, "the content does not have the announced hash")


def sliced(content: Iterable[bytes], length: int = PART) -> Iterator[bytes]:
    """Give content in slices of one length, the last perhaps shorter; nothing for nothing."""
    held = bytearray()
    for chunk in content:
        held += chunk
        while len(held) >= length:
            yield bytes(held[:length])
            del held[:length]
    if held:
        yield bytes(held)


def chain(first: bytes, second: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield second
    yield from rest


def upload_of(handle: str) -> tuple[int, str]:
    pieces, _, upload = handle.partition(":")
    return int(pieces), upload


def receipt_of(etags: Sequence[str]) -> bytes:
    """Write the ETags of the pieces of a part: 16 bytes each where they are digests, as they mostly are."""
    try:
        coded = [bytes.fromhex(etag) for etag in etags]
        if all(len(one) == 16 for one in coded):
            return b"m" + b"".join(coded)
    except ValueError:
        pass
    return b"t" + ",".join(etags).encode()


def etags_of(receipt: bytes) -> list[str]:
    if receipt[:1] == b"m":
        return [receipt[at : at + 16].hex() for at in range(1, len(receipt), 16)]
    return receipt[1:].decode().split(",") if len(receipt) > 1 else []
