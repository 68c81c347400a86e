"""OpenSSH's SFTP program behind an SSH server of this process that passes its answers on in every manner allowed.

Small windows, packets split anywhere, answers late and in another order: what waits for an answer must get it.
"""

import asyncio
import os
import random
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import asyncssh

from tallyport.testing.share_servers import SshServer, asyncssh_server

PROGRAMS = ("/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server", "/usr/libexec/sftp-server")
VERSION_ANSWER = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How answers are passed on."""

    window: int = 2 * 1024 * 1024  # bytes that the client may send before it is told to go on
    piece: int = 1 << 20  # bytes sent in one packet
    held: int = 0  # answers that are held back, at most, and let go in another order
    seed: int = 0


class _Relay(asyncssh.SSHServerSession[bytes]):
    def __init__(self, program: str, manner: Manner) -> None:
        self._program = program
        self._manner = manner
        self._chance = random.Random(manner.seed)
        self._channel: Any = None
        self._process: asyncio.subprocess.Process | None = None
        self._early: list[bytes] = []  # what came before the program ran
        self._held: list[bytes] = []
        self._work: asyncio.Task[None] | None = None

    def connection_made(self, chan: Any) -> None:
        self._channel = chan

    def subsystem_requested(self, subsystem: str) -> bool:
        return subsystem == "sftp"

    def session_started(self) -> None:
        self._work = asyncio.ensure_future(self._run())

    def data_received(self, data: bytes, datatype: Any) -> None:
        if self._process is None or self._process.stdin is None:
            self._early.append(data)
        else:
            self._process.stdin.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()

    async def _run(self) -> None:
        pipe = asyncio.subprocess.PIPE
        self._process = process = await asyncio.create_subprocess_exec(self._program, stdin=pipe, stdout=pipe)
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.writelines(self._early)
        try:
            while True:
                size = struct.unpack(">I", await process.stdout.readexactly(4))[0]
                self._pass_on(struct.pack(">I", size) + await process.stdout.readexactly(size))
        except (asyncio.IncompleteReadError, OSError):
            self._channel.close()
        finally:
            await process.wait()

    def _pass_on(self, answer: bytes) -> None:
        """Hold an answer, or let all go: at the latest when the loop has nothing else to do."""
        if not self._manner.held or answer[4] == VERSION_ANSWER:
            self._send(answer)
            return
        if not self._held:
            asyncio.get_running_loop().call_later(0.005, self._let_go)
        self._held.append(answer)
        if len(self._held) >= self._manner.held:
            self._let_go()

    def _let_go(self) -> None:
        held, self._held = self._held, []
        self._chance.shuffle(held)
        for answer in held:
            self._send(answer)

    def _send(self, answer: bytes) -> None:
        piece = self._manner.piece
        try:
            for at in range(0, len(answer), piece):
                self._channel.write(answer[at : at + piece])
        except OSError:  # the client is gone
            self._held.clear()


@contextmanager
def relayed(manner: Manner) -> Iterator[SshServer]:
    """Serve a folder by OpenSSH's SFTP program, in a manner."""
    program = next(path for path in PROGRAMS if os.path.exists(path))

    class Server(asyncssh.SSHServer):
        def session_requested(self) -> Any:
            return _Relay(program, manner)

    with asyncssh_server(login=Server, window=manner.window) as server:
        yield server
