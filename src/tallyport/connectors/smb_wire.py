"""The way of requests to a share's server and of their answers back, with headers packed and read by hand.

The library signs in; afterwards its classes for a header would cost more time than the server does. What is sent at
once goes out as one frame and wakes its caller once, when all of it is answered. Every answer is verified: by its
signature, or because it came encrypted; one that is neither ends the connection. See MS-SMB2 2.2.1, 2.2.41, 3.2.5.1.
"""

import os
import select
import struct
import threading
import time
from collections.abc import Sequence
from typing import Any

from cryptography.hazmat.primitives.ciphers import aead
from smbprotocol.connection import Ciphers, Dialects, SigningAlgorithms

from tallyport.connectors.answers import Call
from tallyport.connectors.journeys import Inbox
from tallyport.connectors.smb_messages import HEADER, Message

TAKEN = 1024 * 1024  # bytes asked of the socket at once
UNIT = 65_536  # bytes that one credit is worth
PENDING = 0x103  # a first answer: the real one follows
NO_CREDIT = 0.05  # seconds between two looks at what the server lets be under way

_SIGNED, _RELATED, _DFS, _ASYNC, _ANSWER = 0x8, 0x4, 0x10000000, 0x2, 0x1
_HEAD = struct.Struct("<4sHHIHHIIQIIQ16s")
_ANSWERED = struct.Struct("<4xHHIHHIIQ")
_SEALED = struct.Struct("<4s16s16sIHHQ")
_UNSIGNED = bytes(16)


class Broken(Exception):
    """The connection ended, or nobody answered in time."""


class Wire:
    """Sends over a connection of the library that signed in, and takes the answers to what it sent out of its hands.

    What else comes (echoes that keep a quiet connection alive) goes to the library.
    """

    def __init__(self, connection: Any, session: Any, tree: Any) -> None:
        self.connection = connection
        self._transport = connection.transport
        self._session_id, self._tree_id = session.session_id, tree.tree_connect_id
        self._flags = _DFS if tree.is_dfs_share else 0
        self._is_sealed = bool(session.encrypt_data or tree.encrypt_data)
        self._is_signed = bool(session.signing_required and session.signing_key) and not self._is_sealed
        self._signing_key = session.signing_key
        self._fast_signer = self._gmac()
        if self._is_sealed:
            self._sealer, self._opener, self._nonce = self._ciphers(session)
        self._credits = threading.Condition(connection.sequence_lock)
        self._calls: dict[int, tuple[Call, int]] = {}
        self._lock = threading.Lock()
        self._error: Exception | None = None
        self._held = bytearray()
        self._transport.recv = self._received

    def send(self, messages: Sequence[Message], seconds: float, *, related: bool, inbox: Inbox | None = None) -> Call:
        """Send requests in one frame, each about what the first of them opened when they are ``related``."""
        charges = [_charge(message) for message in messages]
        call = Call(self._numbers(charges, seconds), inbox)
        frame = self._packed(messages, call.ids, charges, related=related)
        with self._lock:
            if self._error is not None:
                raise Broken(str(self._error))
            for position, number in enumerate(call.ids):
                self._calls[number] = (call, position)
        try:
            with self._transport._sock_lock:
                if not self._transport.connected:
                    raise Broken("the connection was closed")
                self._transport._sock.sendall(frame)
        except BaseException:
            self._forget(call)
            raise
        return call

    def wait(self, call: Call, seconds: float) -> None:
        """Wait for all answers to a call."""
        if not call.wait(seconds):
            raise self.late(call, seconds)
        if call.error is not None:
            raise Broken(str(call.error)) from call.error

    def late(self, call: Call, seconds: float) -> Exception:
        """Give up a call that is not answered in time."""
        self._forget(call)
        return Broken(f"timeout: no answer within {seconds:g} seconds")

    # -- out

    def _numbers(self, charges: list[int], seconds: float) -> list[int]:
        """Take numbers for messages, waiting until the server lets so many be under way."""
        connection, wanted = self.connection, sum(charges)
        window = connection.sequence_window
        end = time.monotonic() + seconds
        with self._credits:
            while window["high"] - window["low"] < wanted:
                if self._error is not None or time.monotonic() > end:
                    raise Broken(str(self._error or "timeout: the server lets nothing more be under way"))
                self._credits.wait(NO_CREDIT)  # what the library hears gives credits too, without a word
            numbers = []
            for charge in charges:
                numbers.append(window["low"])
                window["low"] += charge
        return numbers

    def _packed(self, messages: Sequence[Message], ids: list[int], charges: list[int], *, related: bool) -> bytes:
        counts = self.connection.supports_multi_credit
        parts = [b""]
        size, last = 0, len(messages) - 1
        for position, message in enumerate(messages):
            body, charge = message.pack(), charges[position]
            length = HEADER + len(body)
            padding = b"" if position == last else bytes(-length % 8)
            flags = self._flags | (_RELATED if related and position else 0) | (_SIGNED if self._is_signed else 0)
            following = 0 if position == last else length + len(padding)
            head = _HEAD.pack(
                *(b"\xfeSMB", HEADER, charge if counts else 0, 0, message.COMMAND, charge, flags, following),
                *(ids[position], 0, self._tree_id, self._session_id, _UNSIGNED),
            )
            if self._is_signed:
                signature = self._signature(head + body + padding, ids[position], is_answer=False)
                head = head[:48] + signature
            parts += (head, body, padding)
            size += length + len(padding)
        if self._is_sealed:
            sealed = self._sealed(b"".join(parts))
            return len(sealed).to_bytes(4, "big") + sealed
        parts[0] = size.to_bytes(4, "big")
        return b"".join(parts)

    # -- in

    def _received(self, seconds: float) -> bytes:
        """Give the library the next frame that holds something for it. Called by its thread alone."""
        try:
            while True:
                frame = self._frame(seconds)
                if not frame:
                    self._end(Broken("the server closed the connection"))
                    return b""
                if not self._taken(frame):
                    return frame
        except TimeoutError:
            raise  # nothing came for long: the library asks whether the server is still there
        except BaseException as error:
            self._end(error if isinstance(error, Exception) else Broken("the connection was closed"))
            raise

    def _frame(self, seconds: float) -> bytes:
        held = self._held
        while len(held) < 4 or len(held) < 4 + int.from_bytes(held[:4], "big"):
            data = self._some(seconds)
            if not data:
                return b""
            held += data
        size = int.from_bytes(held[:4], "big")
        frame = bytes(memoryview(held)[4 : 4 + size])
        del held[: 4 + size]
        return frame

    def _some(self, seconds: float) -> bytes:
        transport = self._transport
        with transport._close_lock:
            if not transport.connected:
                return b""
            if not select.select([transport._sock], [], [], max(seconds, 1))[0]:
                raise TimeoutError("nothing came")
            try:
                data: bytes = transport._sock.recv(TAKEN)
            except ConnectionError:
                data = b""
        if not data:
            transport.close()
        return data

    def _taken(self, frame: bytes) -> bool:
        """Hand the answers in a frame to those who wait; False when it is for the library."""
        is_sealed = frame[:4] == b"\xfdSMB"
        if is_sealed and not self._is_sealed:
            return False
        plain = self._opened(frame) if is_sealed else frame
        if int.from_bytes(plain[24:32], "little") not in self._calls:
            return False
        at, granted = 0, 0
        while True:
            _, _, status, _, credits, flags, following, number = _ANSWERED.unpack_from(plain, at)
            one = plain if not at and not following else plain[at : at + following] if following else plain[at:]
            granted += credits or (not self.connection.supports_multi_credit)
            is_first = status == PENDING and flags & _ASYNC
            if not is_sealed and not is_first:
                self._verify(one, number, flags)
            if not is_first:
                with self._lock:
                    found = self._calls.pop(number, None)
                if found is not None:
                    found[0].answer(found[1], status, one[HEADER:])
            if not following:
                break
            at += following
        if granted:
            with self._credits:
                self.connection.sequence_window["high"] += granted
                self._credits.notify_all()
        return True

    def _verify(self, answer: bytes, number: int, flags: int) -> None:
        if not self._is_signed and not self._is_sealed:
            return
        is_right = flags & _SIGNED and self._is_signed
        if not is_right or self._signature(answer, number, is_answer=True) != answer[48:64]:
            raise Broken("an answer does not have the signature of the server")

    def _forget(self, call: Call) -> None:
        with self._lock:
            for number in call.ids:
                self._calls.pop(number, None)

    def _end(self, error: Exception) -> None:
        with self._lock:
            self._error = error
            calls, self._calls = {id(call): call for call, _ in self._calls.values()}, {}
        for call in calls.values():
            call.fail(error)
        with self._credits:
            self._credits.notify_all()

    # -- signatures and seals

    def _gmac(self) -> Any:
        """Give what signs, made once, where the two agreed on the fast way."""
        connection = self.connection
        is_gmac = connection.dialect >= Dialects.SMB_3_1_1 and (
            connection.signing_algorithm_id == SigningAlgorithms.AES_GMAC
        )
        return aead.AESGCM(self._signing_key) if is_gmac and self._is_signed else None

    def _signature(self, message: bytes, number: int, *, is_answer: bool) -> bytes:
        command = int.from_bytes(message[12:14], "little")
        if self._fast_signer is None:
            given: bytes = self.connection._generate_signature(message, self._signing_key, number, is_answer, command)
            return given
        nonce = number.to_bytes(8, "little") + (b"\x01\0\0\0" if is_answer else bytes(4))
        signed: bytes = self._fast_signer.encrypt(nonce, b"", b"".join((message[:48], _UNSIGNED, message[64:])))
        return signed

    def _ciphers(self, session: Any) -> tuple[Any, Any, int]:
        connection = self.connection
        chosen = connection.cipher_id if connection.dialect >= Dialects.SMB_3_1_1 else Ciphers.AES_128_CCM
        kind, nonce = (aead.AESGCM, 12) if chosen in (Ciphers.AES_128_GCM, Ciphers.AES_256_GCM) else (aead.AESCCM, 11)
        return kind(session.encryption_key), kind(session.decryption_key), nonce

    def _sealed(self, plain: bytes) -> bytes:
        nonce = os.urandom(self._nonce)
        head = _SEALED.pack(b"\xfdSMB", bytes(16), nonce.ljust(16, b"\0"), len(plain), 0, 1, self._session_id)
        sealed: bytes = self._sealer.encrypt(nonce, plain, head[20:])
        return head[:4] + sealed[-16:] + head[20:] + sealed[:-16]

    def _opened(self, frame: bytes) -> bytes:
        nonce = frame[20 : 20 + self._nonce]
        plain: bytes = self._opener.decrypt(nonce, frame[52:] + frame[4:20], frame[20:52])
        return plain


def _charge(message: Message) -> int:
    """Give the credits that a request costs."""
    return max(0, message.payload - 1) // UNIT + 1
