"""The way to an SSH server's socket: what is written in one turn of the event loop goes out at once.

The library writes each packet by itself, and an empty one before it; a system call for each is a third of the work of
a small file.
"""

import asyncio
from typing import Any

MOST = 256 * 1024  # bytes held before they are handed on


class Gathering:
    """Stands in front of a transport and gathers what is written."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held: list[bytes] = []
        self._size = 0

    def write(self, data: bytes) -> None:
        """Keep data for the end of this turn."""
        if not self._held:
            self._loop.call_soon(self._flush)
        self._held.append(data)
        self._size += len(data)
        if self._size >= MOST:
            self._flush()

    def close(self) -> None:
        """Send what is held, and close."""
        self._flush()
        self._transport.close()

    def get_write_buffer_size(self) -> int:
        """Give the bytes that are not sent yet."""
        return self._size + self._transport.get_write_buffer_size()

    def _flush(self) -> None:
        held, self._held, self._size = self._held, [], 0
        if held and not self._transport.is_closing():
            self._transport.write(b"".join(held))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def gather(connection: Any) -> None:
    """Have a connection of asyncssh send through one; no setting of the library reaches that far."""
    connection._transport = Gathering(connection._transport, asyncio.get_running_loop())
