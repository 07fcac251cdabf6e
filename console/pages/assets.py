"""The style sheet and the script, as files of the package."""

from pathlib import Path
from typing import Final

from aiohttp import web

from console.routes import Call, NoQuery, Page

_FOLDER: Final = Path(__file__).parent.parent / "assets"
_FILES: Final = {"style.css": "text/css", "live.js": "text/javascript"}


def asset_pages() -> list[Page]:
    """One route a file; a browser may keep it for some minutes."""
    return [_asset(name, media_type) for name, media_type in _FILES.items()]


def _asset(name: str, media_type: str) -> Page:
    body = (_FOLDER / name).read_bytes()

    async def show(call: Call[NoQuery, None]) -> web.Response:
        headers = {"Cache-Control": "max-age=300"}
        return web.Response(body=body, content_type=media_type, charset="utf-8", headers=headers)

    return Page(f"/assets/{name}", show)
