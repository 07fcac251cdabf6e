"""Asking other workers over their web servers."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Final, TypeVar
from urllib.parse import quote

import aiohttp
import msgspec
from yarl import URL

from console.problems import later

T = TypeVar("T")

TIMEOUT: Final = 2.0
"""Seconds that a worker gets to answer."""


class Away(Exception):
    """A worker does not answer, or not as one of ours does; the text says how."""


class Peers:
    """The other workers, which have the same token."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def ask(self, worker: str, path: Iterable[str], query: Mapping[str, str], kind: type[T]) -> T | None:
        """What `worker` answers at `path`; None: 404. Raises Problem where it raised one with 503, Away if it does not answer."""
        encoded = "/".join(quote(part, safe="") for part in path)
        url = URL(f"{worker.rstrip('/')}/{encoded}", encoded=True).with_query(query)
        try:
            async with self._session.get(url, allow_redirects=False) as response:
                if response.status == HTTPStatus.NOT_FOUND:
                    return None
                if response.status == HTTPStatus.SERVICE_UNAVAILABLE:
                    raise later("partitions are moving between the workers", int(response.headers.get("Retry-After", "1")))
                if response.status != HTTPStatus.OK:
                    raise Away(f"it answered {response.status}; has it the same CHOPAR_API_TOKEN?")
                return msgspec.json.decode(await response.read(), type=kind)
        except TimeoutError:
            raise Away(f"no answer within {TIMEOUT:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise Away(type(error).__name__) from None
        except (msgspec.DecodeError, ValueError):
            raise Away("what it answered is not understood; is it of another version?") from None


@asynccontextmanager
async def open_peers(token: str | None) -> AsyncIterator[Peers]:
    """Ready to ask; nothing is connected yet."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    timeout = aiohttp.ClientTimeout(total=TIMEOUT)
    async with aiohttp.ClientSession(headers=headers, timeout=timeout, trust_env=False) as session:
        yield Peers(session)
