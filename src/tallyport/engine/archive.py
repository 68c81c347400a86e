"""The archive that a file is carried in where a platform refuses its type. Equal files make equal archives."""

import zipfile
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import IO, cast

from tallyport.domain.paths import display

_FIRST = datetime(1980, 1, 1, tzinfo=UTC)  # the format knows no earlier time
_LAST = datetime(2107, 12, 31, 23, 59, 58, tzinfo=UTC)


def zipped(name: str, modified: int, content: Iterable[bytes]) -> Iterator[bytes]:
    """Give a zip archive with one member, piece by piece. ``modified`` is nanoseconds since 1970."""
    sink = _Sink()
    member = zipfile.ZipInfo(display(name), _moment(modified))
    member.compress_type = zipfile.ZIP_DEFLATED
    member.create_system = 3
    member.external_attr = 0o600 << 16
    with zipfile.ZipFile(cast(IO[bytes], sink), "w") as archive:
        with archive.open(member, "w", force_zip64=True) as stream:
            for chunk in content:
                stream.write(chunk)
                if piece := sink.taken():
                    yield piece
        yield sink.taken()
    if piece := sink.taken():
        yield piece


def _moment(modified: int) -> tuple[int, int, int, int, int, int]:
    seconds = min(max(modified // 10**9, 0), 10**10)
    moment = min(max(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds), _FIRST), _LAST)
    return moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second


class _Sink:
    """A file that can only be written to, and gives away what was written."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def tell(self) -> int:
        """Say that there is no place to come back to."""
        raise OSError("only written to")

    def flush(self) -> None:
        """Hold nothing back."""

    def taken(self) -> bytes:
        """Give what was written since the last call."""
        data, self._pieces = b"".join(self._pieces), []
        return data
