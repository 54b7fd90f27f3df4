"""The Unix socket by which commands talk to the running gateway: one JSON object a line, one answer a line.

Whoever may open the socket (its owner and group, 0660) may do all that stands here; it is never reached by network.
"""

import asyncio
import contextlib
import errno
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from gateway.config import ConfigError, Problem
from gateway.errors import GatewayError

log = logging.getLogger("gateway")

NAME = "control.sock"
RUN = Path("/run/sensor-gateway")
LONGEST = 64 * 1024  # bytes of a question
TIMEOUT = 30.0

Answer = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


def own_place(state_dir: Path, environ: Mapping[str, str] = os.environ) -> Path | None:
    """Where to open the socket: $RUNTIME_DIRECTORY, else the state folder, if there is one that we may write."""
    runtime = environ.get("RUNTIME_DIRECTORY", "").split(":")[0]
    for folder in (Path(runtime) if runtime else None, state_dir):
        if folder is not None and folder.is_dir() and os.access(folder, os.W_OK):
            return folder / NAME
    return None


def places(state_dir: Path, config: Path | None, environ: Mapping[str, str] = os.environ) -> list[Path]:
    """Where the socket of a running gateway may be, the likeliest first.

    `config` is its configuration file: sensor-gateway@NAME has NAME.toml, and a folder by its name under /run.
    """
    runtime = environ.get("RUNTIME_DIRECTORY", "").split(":")[0]
    instance = RUN.with_name(f"{RUN.name}-{config.stem}") if config is not None else None
    folders = (Path(runtime) if runtime else None, state_dir, instance, RUN)
    return [folder / NAME for folder in folders if folder is not None]


class Denied(GatewayError):
    """This user may not ask the gateway there, or not even look whether there is one."""


class Control:
    """Answers on `path`. `answers` by the word that asks; one raises GatewayError to refuse with its sentence."""

    def __init__(self, path: Path, answers: Mapping[str, Answer]) -> None:
        self.path = path
        self._answers = answers
        self._server: asyncio.Server | None = None
        self._inode: int | None = None

    async def start(self) -> None:
        """Listen. Raises GatewayError where another gateway has the place, or nobody may."""
        try:
            if answers_at(self.path):
                raise GatewayError(f"another gateway answers at {self.path}: give each a state_dir of its own")
            self.path.unlink(missing_ok=True)
            before = os.umask(0o117)
            try:
                self._server = await asyncio.start_unix_server(self._talk, self.path, limit=LONGEST)
            finally:
                os.umask(before)
            self._inode = self.path.stat().st_ino
        except OSError as error:
            raise GatewayError(f"no control socket at {self.path}: {error.strerror or error}") from None

    async def stop(self) -> None:
        """Stop listening, and take the socket away unless somebody else has it now."""
        if self._server is None:
            return
        self._server.close()
        with contextlib.suppress(FileNotFoundError):  # somebody tidied up before us
            if self.path.stat().st_ino == self._inode:
                self.path.unlink()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                writer.write(msgspec.json.encode(await self._answer(line)) + b"\n")
                await writer.drain()
        except (OSError, ValueError) as error:
            log.debug("control socket: %s", error)
        except asyncio.CancelledError:
            # The loop ends; asyncio's streams would log a cancelled handler as a fault.
            pass
        finally:
            writer.close()

    async def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            asked = msgspec.json.decode(line, type=dict[str, Any])
            answer = self._answers.get(str(asked.get("do")))
            if answer is None:
                return {"error": f"unknown: {asked.get('do')!r}; this gateway knows {', '.join(sorted(self._answers))}"}
            return await answer(asked)
        except msgspec.DecodeError as error:
            return {"error": f"not a JSON object: {error}"}
        except ConfigError as error:
            return {"error": str(error), "problems": msgspec.to_builtins(error.problems)}
        except GatewayError as error:
            return {"error": str(error)}
        except Exception as error:
            log.exception("control socket: a question could not be answered")
            return {"error": f"a fault in the gateway: {error}"}


def ask(candidates: list[Path], question: dict[str, Any], *, timeout: float = TIMEOUT) -> dict[str, Any]:
    """Ask the running gateway; its answer. Raises GatewayError where none can be reached, or it refuses.

    Raises ConfigError where it refuses a configuration.
    """
    try:
        asked = msgspec.json.encode(question) + b"\n"
    except UnicodeEncodeError:
        raise GatewayError("what was typed is not UTF-8, so that no topic or client is named like that") from None
    denied = None
    for path in candidates:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(timeout)
            try:
                sock.connect(str(path))
            except PermissionError:
                denied = path
                continue
            except OSError:
                continue
            try:
                sock.sendall(asked)
                with sock.makefile("rb") as file:
                    line = file.readline()
            except OSError as error:
                raise GatewayError(f"the gateway at {path} did not answer: {error.strerror or error}") from None
        if not line:
            raise GatewayError(f"the gateway at {path} ended before it answered: see its log")
        answer: dict[str, Any] = msgspec.json.decode(line)
        if "problems" in answer:
            raise ConfigError(msgspec.convert(answer["problems"], list[Problem]))
        if "error" in answer:
            raise GatewayError(answer["error"])
        return answer
    if denied is not None:
        raise Denied(f"{denied}: permission denied: be root, or a member of the group sensor-gateway")
    tried = ", ".join(str(path) for path in candidates)
    raise GatewayError(
        f"no running gateway answers (looked at {tried}): is it started? systemctl status sensor-gateway"
    )


def answers_at(path: Path) -> bool:
    """Whether somebody listens there."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(1.0)
        code = sock.connect_ex(str(path))
    return code not in (errno.ENOENT, errno.ECONNREFUSED)
