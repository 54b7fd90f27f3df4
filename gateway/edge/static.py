"""The page and `client.js`: files of the wheel as responses, read once at the start. They hold no data, no secret."""

import gzip
import hashlib
from collections.abc import Callable
from importlib.resources import files
from typing import NamedTuple

from gateway.edge.modules import join_modules

# What the page may do: run and show what came from this gateway, and talk to it. Values reach the page as text only.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
_PAGE = (
    ("Content-Security-Policy", CONTENT_SECURITY_POLICY),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=(), screen-wake-lock=(self)"),
)
# In this order: later ones win.
_STYLES = ("base", "overview", "topics", "chart", "gateway", "wall")
_FOR_THE_PAGE = (("Cross-Origin-Resource-Policy", "same-origin"),)
# The document's own words are painted before the script begins: on a slow machine after 0.4 instead of 0.8 s. A page
# in the background has no frames to wait for.
_BEHIND_THE_FIRST_PAINT = """\
const begin = () => {{
{script}
}};
if (document.hidden) begin();
else requestAnimationFrame(() => setTimeout(begin));
"""
# Pages of other origins import the client; it holds nothing that they could not read in its repository.
_FOR_EVERYBODY = (("Access-Control-Allow-Origin", "*"), ("Cross-Origin-Resource-Policy", "cross-origin"))
# Kept, but asked about each time: a page never runs with the scripts of another version.
_EVERY = (("Cache-Control", "no-cache"), ("X-Content-Type-Options", "nosniff"), ("Referrer-Policy", "no-referrer"))


class Asset(NamedTuple):
    """A file as it is served: its path below the gateway's root, its bytes, and its headers.

    `gzip` is the same content compressed, None where that saves nothing; `etag` names the content.
    """

    path: str
    content: bytes
    content_type: str
    headers: tuple[tuple[str, str], ...]
    gzip: bytes | None
    etag: str

    def answer(
        self, if_none_match: str = "", accept_encoding: str = ""
    ) -> tuple[int, bytes, tuple[tuple[str, str], ...]]:
        """Status, body and headers for a request with these two headers (RFC 9110, 13.1.2 and 12.5.3)."""
        tags = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
        if self.etag in tags or "*" in tags:
            return 304, b"", self.headers
        if self.gzip is not None and _takes_gzip(accept_encoding):
            return 200, self.gzip, (*self.headers, ("Content-Encoding", "gzip"))
        return 200, self.content, self.headers


def load() -> dict[str, Asset]:
    """Every file of the dashboard by its path. Charts and types are missing where they were not built in."""
    root = files("gateway") / "dashboard"

    def read(path: str) -> str:
        return root.joinpath(*path.split("/")).read_text("utf-8")

    def built(name: str) -> str | None:
        file = root / "built" / name
        return file.read_text("utf-8") if file.is_file() else None

    style = "".join(read(f"style/{name}.css") for name in _STYLES) + (built("uplot.css") or "")
    assets = [
        _asset("/", read("index.html"), "text/html; charset=utf-8", _PAGE),
        _asset("/page.js", _page_script(read, built("uplot.js")), "text/javascript; charset=utf-8", _FOR_THE_PAGE),
        _asset("/style.css", style, "text/css; charset=utf-8", _FOR_THE_PAGE),
        _asset("/icon.svg", read("icon.svg"), "image/svg+xml", _FOR_THE_PAGE),
        _asset("/client.js", join_modules("client/index.js", read), "text/javascript; charset=utf-8", _FOR_EVERYBODY),
    ]
    types = built("client.d.ts")
    if types is not None:
        assets.append(_asset("/client.d.ts", types, "text/plain; charset=utf-8", _FOR_EVERYBODY))
    return {asset.path: asset for asset in assets}


def _page_script(read: Callable[[str], str], charts: str | None) -> str:
    """The page's modules as one file, with the chart library (a `var uPlot`) in front where it was built in."""
    return _BEHIND_THE_FIRST_PAINT.format(script=(charts or "") + "\n" + join_modules("page/main.js", read))


def _asset(path: str, text: str, content_type: str, headers: tuple[tuple[str, str], ...]) -> Asset:
    content = text.encode()
    small = gzip.compress(content, 9, mtime=0)
    etag = f'"{hashlib.sha256(content).hexdigest()[:20]}"'
    every = (*_EVERY, ("ETag", etag), ("Vary", "Accept-Encoding"))
    return Asset(path, content, content_type, (*headers, *every), small if len(small) < len(content) else None, etag)


def _takes_gzip(accept_encoding: str) -> bool:
    for item in accept_encoding.lower().split(","):
        name, _, parameters = item.partition(";")
        if name.strip() in ("gzip", "*"):
            return parameters.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
