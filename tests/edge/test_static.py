"""The page's files as they are served."""

import gzip
import re

import pytest

from gateway.edge.static import Asset, load


@pytest.fixture(scope="module")
def assets() -> dict[str, Asset]:
    return load()


def header(asset: Asset, name: str) -> str | None:
    return dict(asset.headers).get(name)


def test_paths_and_types(assets: dict[str, Asset]) -> None:
    assert {path: assets[path].content_type.partition(";")[0] for path in ("/", "/client.js", "/style.css")} == {
        "/": "text/html",
        "/client.js": "text/javascript",
        "/style.css": "text/css",
    }
    assert all(path == asset.path for path, asset in assets.items())


def test_the_policy_lets_in_what_is_ours_and_nothing_else(assets: dict[str, Asset]) -> None:
    policy = header(assets["/"], "Content-Security-Policy") or ""
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert set(re.findall(r"https?:|wss?:|data:|\*", policy)) == set()
    for wanted in (
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'none'",
        "require-trusted-types-for 'script'",
    ):
        assert wanted in policy


def test_every_file_has_its_guards(assets: dict[str, Asset]) -> None:
    for asset in assets.values():
        assert header(asset, "X-Content-Type-Options") == "nosniff"
        assert header(asset, "Referrer-Policy") == "no-referrer"
        assert header(asset, "Cache-Control") == "no-cache"
        assert header(asset, "ETag") == asset.etag


def test_other_origins_may_import_the_client_only(assets: dict[str, Asset]) -> None:
    open_to_all = {path for path, asset in assets.items() if header(asset, "Access-Control-Allow-Origin") == "*"}
    assert open_to_all - {"/client.d.ts"} == {"/client.js"}


def test_no_markup_in_scripts_and_no_scripts_in_markup(assets: dict[str, Asset]) -> None:
    page = assets["/"].content.decode()
    assert re.findall(r"\son\w+=|style=|<style|javascript:", page) == []
    assert re.findall(r"<script(?![^>]*src=)", page) == []
    assert re.findall(r'(?:src|href)="(?:/|https?:)', page) == [], (
        "every address is relative, for proxies with a prefix"
    )
    script = assets["/page.js"].content.decode()
    assert re.findall(r"innerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", script) == []


def test_the_same_file_is_not_sent_again(assets: dict[str, Asset]) -> None:
    asset = assets["/client.js"]
    status, body, headers = asset.answer(if_none_match=f'"other", W/{asset.etag}')
    assert (status, body) == (304, b"")
    assert ("ETag", asset.etag) in headers
    assert asset.answer(if_none_match='"other"')[0] == 200


@pytest.mark.parametrize(
    ("accepted", "compressed"),
    [
        ("gzip, deflate, br", True),
        ("br;q=1, GZIP;q=0.5", True),
        ("*", True),
        ("", False),
        ("br", False),
        ("gzip;q=0", False),
    ],
)
def test_compressed_where_the_client_takes_it(assets: dict[str, Asset], accepted: str, compressed: bool) -> None:
    asset = assets["/page.js"]
    _, body, headers = asset.answer(accept_encoding=accepted)
    assert (("Content-Encoding", "gzip") in headers) == compressed
    assert (gzip.decompress(body) if compressed else body) == asset.content


def test_the_clients_types_belong_to_it(assets: dict[str, Asset]) -> None:
    """Types are built beside the charts; where they are, they declare what the client exports."""
    exported = re.search(r"^export \{ (.*) \};$", assets["/client.js"].content.decode(), re.MULTILINE)
    assert exported is not None
    assert exported[1].split(", ") == ["connect", "Gateway", "GatewayError", "Subscription", "matches"]
    if "/client.d.ts" in assets:
        types = assets["/client.d.ts"].content.decode()
        assert all(re.search(rf"(function|class) {name}\b", types) for name in exported[1].split(", "))
