"""Questions to a port on this machine: does it answer as the server we wait for would? Never an exception."""

import asyncio
import struct
from typing import Final

from brokers.ports import HOST

PATIENCE: Final = 5.0
_API_VERSIONS: Final = struct.pack(">ihhih", 10, 18, 0, 1, -1)
"""Kafka's first request: size, ApiVersions, version 0, correlation id 1, no client id."""
_AMQP_START: Final = b"AMQP\x00\x00\x09\x01"


async def tcp(port: int) -> bool:
    """Whether something accepts connections."""
    return await _ask(port, b"", 0) is not None


async def kafka(port: int) -> bool:
    """Whether a Kafka broker handles requests (its port is open before it does)."""
    answer = await _ask(port, _API_VERSIONS, 10)
    return answer is not None and answer[4:10] == b"\x00\x00\x00\x01\x00\x00"


async def amqp(port: int) -> bool:
    """Whether a RabbitMQ node offers to open a connection."""
    answer = await _ask(port, _AMQP_START, 1)
    return answer == b"\x01"


async def http(port: int, path: str = "/", host: str = HOST) -> bool:
    """Whether a web server answers with a status below 500."""
    request = f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n"
    answer = await _ask(port, request.encode(), 12)
    return answer is not None and answer.startswith(b"HTTP/1.") and answer[9:10] in (b"2", b"3", b"4")


async def _ask(port: int, question: bytes, length: int) -> bytes | None:
    try:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection(HOST, port)
            try:
                writer.write(question)
                await writer.drain()
                return await reader.readexactly(length)
            finally:
                writer.close()
                await asyncio.gather(writer.wait_closed(), return_exceptions=True)
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        return None
