"""The way to an SSH server's socket: what is written in one turn of the event loop goes out at once.

The library writes each packet by itself, and an empty one before it; a system call for each is a third of the work of
a small file. It also sets a cipher up anew for each packet, which takes longer than the small ones take to encrypt.
"""

import asyncio
from typing import Any

import asyncssh.encryption
from asyncssh.constants import MSG_IGNORE
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_MARK = 16  # bytes of what proves a packet

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


class KeptCipher:
    """AES-GCM with one key, set up once; each packet has a number of its own. See RFC 5647, section 7.1."""

    def __init__(self, _name: str, key: bytes, iv: bytes) -> None:
        self._cipher = AESGCM(key)
        self._fixed, self._number = iv[:4], int.from_bytes(iv[4:], "big")

    def encrypt_and_sign(self, header: bytes, data: bytes) -> tuple[bytes, bytes]:
        """Encrypt a packet; gives its header and content, and what proves both."""
        sealed = self._cipher.encrypt(self._next(), data, header)
        return header + sealed[:-_MARK], sealed[-_MARK:]

    def verify_and_decrypt(self, header: bytes, data: bytes, mac: bytes) -> bytes | None:
        """Decrypt a packet, or give None for one that was changed on the way."""
        try:
            return self._cipher.decrypt(self._next(), data + mac, header)
        except InvalidTag:
            return None

    def _next(self) -> bytes:
        number = self._number
        self._number = (number + 1) & 0xFFFFFFFFFFFFFFFF
        return self._fixed + number.to_bytes(8, "big")


vars(asyncssh.encryption)["GCMCipher"] = KeptCipher  # no setting of the library reaches that far


def gather(connection: Any) -> None:
    """Have a connection of asyncssh send through one, and no empty packets: those hide the chaining of CBC alone."""
    connection._transport = Gathering(connection._transport, asyncio.get_running_loop())
    send = connection.send_packet

    def send_packet(kind: int, *parts: bytes, handler: Any = None) -> None:
        if kind != MSG_IGNORE:
            send(kind, *parts, handler=handler)

    connection.send_packet = send_packet
