"""Plain HTTP by hand: a request as bytes, an answer in its parts."""

from typing import Any

from support.edge import Edge


def request(path: str, *headers: str, method: str = "GET", host: str = "localhost") -> bytes:
    """A request without a body."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", f"Host: {host}", *headers, "", ""]).encode()


def parts(answer: bytes) -> tuple[int, dict[str, str], bytes]:
    """Status, headers by their small names, and body; no header but Vary is there twice."""
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = [line.split(": ", 1) for line in lines[1:]]
    assert len({name.lower() for name, _ in headers} - {"vary"}) == len([n for n, _ in headers if n.lower() != "vary"])
    return int(lines[0].split()[1]), {name.lower(): value for name, value in headers}, body


async def get(edge: Edge, path: str, *headers: str, **options: Any) -> tuple[int, dict[str, str], bytes]:
    """Ask the edge for `path`."""
    return parts(await edge.raw(request(path, *headers, **options)))
