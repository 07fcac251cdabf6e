"""The store, opened to be read."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from activity.errors import ChoparError
from activity.settings import Settings

if TYPE_CHECKING:
    from store.opening import Store


@asynccontextmanager
async def reading_store(settings: Settings) -> AsyncIterator["Store"]:
    """The store. Raises ChoparError if there is none yet: looking must not create one where nobody expects it."""
    from store.address import parse_address
    from store.opening import open_store

    file = parse_address(settings.store_url).file
    if file is not None and not file.exists():
        raise ChoparError(f"CHOPAR_STORE_URL: there is no store at {file} yet; `chopar up` or a worker creates it")
    async with open_store(settings.store_url) as store:
        yield store
