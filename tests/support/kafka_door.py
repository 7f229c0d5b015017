"""A door in front of a Kafka broker: TLS, a login, and delayed acknowledgements."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import struct
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any

from scramp import ScramException, ScramMechanism

from tests.support.loop_server import LoopServer

# Request types of Kafka's protocol (https://kafka.apache.org/protocol).
PRODUCE, SASL_HANDSHAKE, API_VERSIONS, SASL_AUTHENTICATE = 0, 17, 18, 36

UNSUPPORTED_MECHANISM, ILLEGAL_STATE, LOGIN_FAILED = 33, 34, 58
LARGEST = 104_857_600
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Door(LoopServer):
    """Passes connections on to a broker on this machine; also a context manager.

    The broker has to advertise the door's address, so that clients never see the broker's own.

    Args:
        context: the TLS context, if clients have to use TLS; else None.
        users: passwords by user; if empty, no login is required.
        mechanisms: the permitted SASL mechanisms; if empty, a login is refused as by a Kafka that requires none.

    Attributes:
        port: where it listens.
        broker: the broker's port.
        logins: mechanism and user of each successful login.
    """

    def __init__(
        self,
        context: ssl.SSLContext | None = None,
        users: Mapping[str, str] | None = None,
        mechanisms: Sequence[str] = MECHANISMS,
    ) -> None:
        super().__init__(context)
        self.broker = 0
        self.logins: list[tuple[str, str]] = []
        self.users = dict(users or {})
        self._mechanisms = mechanisms
        self._acknowledging = asyncio.Event()
        self._acknowledging.set()

    def hold(self) -> None:
        """Hold back acknowledgements from now on; requests of clients go through."""
        self.call(self._acknowledging.clear)

    def release(self) -> None:
        """Let acknowledgements through again."""
        self.call(self._acknowledging.set)

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Relay between client and broker, once the client has logged in."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            broker = await asyncio.open_connection("127.0.0.1", self.broker)
            with contextlib.closing(broker[1]):
                await self._talk((reader, writer), broker)
        writer.close()

    async def _talk(self, client: Streams, broker: Streams) -> None:
        if self.users and not await self._login(client, broker):
            return
        asked: asyncio.Queue[int] = asyncio.Queue()
        directions = (self._pass_requests(client[0], broker[1], asked), self._pass_answers(broker[0], client[1], asked))
        tasks = [asyncio.ensure_future(each) for each in directions]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _pass_requests(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: asyncio.Queue[int]
    ) -> None:
        while frame := await _read(reader):
            asked.put_nowait(_kind(frame))
            await _write(writer, frame)

    async def _pass_answers(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: asyncio.Queue[int]
    ) -> None:
        while frame := await _read(reader):
            if await asked.get() == PRODUCE:  # A broker answers in order.
                await self._acknowledging.wait()
            await _write(writer, frame)

    async def _login(self, client: Streams, broker: Streams) -> bool:
        """Answer a client as a broker does until it has logged in; before that it may only request versions."""
        login = _Login(self.users, self._mechanisms)
        while not login.user:
            frame = await _read(client[0])
            if _kind(frame) == API_VERSIONS:
                await _write(broker[1], frame)
                await _write(client[1], await _read(broker[0]))
                continue
            answer = login.answer(frame)
            if answer is None:
                return False
            await _write(client[1], frame[4:8] + answer)
        self.logins.append((login.mechanism, login.user))
        return True


class _Login:
    """One client's login: SASL PLAIN (RFC 4616) or SCRAM (RFC 5802), in Kafka's frames.

    Attributes:
        user: the user who has logged in; empty until then.
        mechanism: the chosen mechanism.
    """

    def __init__(self, users: Mapping[str, str], mechanisms: Sequence[str]) -> None:
        self.user = self.mechanism = ""
        self._users = users
        self._mechanisms = mechanisms
        self._scram: Any = None
        self._asked = ""

    def answer(self, frame: bytes) -> bytes | None:
        """Return the response to a request, without its correlation id; None for an unexpected request."""
        version, _, length = struct.unpack_from(">hih", frame, 2)
        body = frame[10 + max(0, length) :]
        if _kind(frame) == SASL_HANDSHAKE:
            return self._choose(body[2:].decode())
        if _kind(frame) != SASL_AUTHENTICATE:
            return None
        try:
            text = self._step(body[4:].decode())
        except (ScramException, KeyError, ValueError):
            return struct.pack(">hh", LOGIN_FAILED, 6) + b"failed" + bytes(4) + bytes(8 if version else 0)
        return struct.pack(">hhi", 0, -1, len(text)) + text.encode() + bytes(8 if version else 0)

    def _choose(self, mechanism: str) -> bytes:
        self.mechanism = mechanism
        refusal = UNSUPPORTED_MECHANISM if self._mechanisms else ILLEGAL_STATE
        code = 0 if mechanism in self._mechanisms else refusal
        names = b"".join(struct.pack(">h", len(name)) + name.encode() for name in self._mechanisms)
        return struct.pack(">hi", code, len(self._mechanisms)) + names

    def _step(self, text: str) -> str:
        """Take a step of the mechanism; the last step sets `user`.

        Raises:
            ScramException, KeyError, ValueError: the login fails.
        """
        if self.mechanism == "PLAIN":
            _, user, password = text.split("\0")
            if self._users[user] != password:
                raise ValueError("a wrong password")
            self.user = user
            return ""
        if self._scram is None:
            mechanism = ScramMechanism(self.mechanism)
            self._scram = mechanism.make_server(lambda user: mechanism.make_auth_info(self._users[self._called(user)]))
            self._scram.set_client_first(text)
            return str(self._scram.get_server_first())
        self._scram.set_client_final(text)
        self.user = self._asked
        return str(self._scram.get_server_final())

    def _called(self, user: str) -> str:
        self._asked = user
        return user


def _kind(frame: bytes) -> int:
    return int.from_bytes(frame[:2])


async def _read(reader: asyncio.StreamReader) -> bytes:
    """Read one frame.

    Raises:
        OSError: the frame exceeds Kafka's `socket.request.max.bytes`, as bytes of another protocol do.
    """
    size = int.from_bytes(await reader.readexactly(4))
    if size > LARGEST:
        raise ConnectionAbortedError
    return await reader.readexactly(size)


def _write(writer: asyncio.StreamWriter, frame: bytes) -> Awaitable[None]:
    writer.write(len(frame).to_bytes(4) + frame)
    return writer.drain()
