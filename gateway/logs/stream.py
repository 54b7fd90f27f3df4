"""The stream that holds the log: made if it is absent, checked if it is present, and what it is known by."""

import asyncio
import hashlib
import logging
from typing import Any, NamedTuple

from gateway.config import JetStream
from gateway.errors import GatewayError
from gateway.logs.natsclient import API, NOT_FOUND, NatsClient, Refusal
from gateway.logs.records import Records
from gateway.units import format_duration, format_size

logger = logging.getLogger("gateway.history")

SECOND = 1_000_000_000
DUPLICATES = 120.0  # seconds for which the servers know a message id
OLDEST_SERVER = "2.12"


class StreamState(NamedTuple):
    """A look at the stream: its identity, and the sequences that it holds."""

    epoch: str
    first: int
    last: int


def wanted(settings: JetStream, subjects: list[str]) -> dict[str, Any]:
    """The stream's configuration, as JetStream's API takes it."""
    return {
        "name": settings.stream,
        "subjects": subjects,
        "retention": "limits",
        "storage": "file",
        "discard": "old",
        "num_replicas": settings.replicas,
        "max_bytes": settings.max_bytes,
        "max_age": int(settings.max_age * SECOND),
        "duplicate_window": int(min(DUPLICATES, settings.max_age) * SECOND),
        "allow_direct": True,
        "allow_atomic": True,
    }


async def open_stream(client: NatsClient, settings: JetStream, subjects: list[str]) -> StreamState:
    """Make the stream, or check it. Raises GatewayError where it is not what the configuration says; Unanswered."""
    config = wanted(settings, subjects)
    try:
        info = await client.ask(f"{API}STREAM.INFO.{settings.stream}")
    except Refusal as refusal:
        if refusal.code != NOT_FOUND:
            raise GatewayError(f"stream {settings.stream}: {refusal}") from refusal
        try:
            info = await client.ask(f"{API}STREAM.CREATE.{settings.stream}", config)
        except Refusal as failure:
            raise GatewayError(f"stream {settings.stream} cannot be made: {failure}{_hint(failure)}") from failure
        logger.info("history: made the stream %s: %d replicas", settings.stream, settings.replicas)
    faults = differences(config, info["config"])
    if faults:
        text = "; ".join(faults)
        raise GatewayError(f"stream {settings.stream} is not what [history.jetstream] says: {text}")
    return state_of(info)


async def examine_stream(settings: JetStream, seconds: float) -> str:
    """What is wrong with the stream, "" where nothing is or the first gateway will make it. Changes nothing.

    Raises GatewayError where NATS does not answer within `seconds`, or cannot be signed in to.
    """
    client = NatsClient(settings, name="doctor", changed=lambda connected: None)
    try:
        await asyncio.wait_for(client.connect(), seconds)
        info = await client.ask(f"{API}STREAM.INFO.{settings.stream}")
    except TimeoutError:
        raise GatewayError(f"no NATS server answers: {client.failure or 'silence'}") from None
    except Refusal as refusal:
        if refusal.code == NOT_FOUND:
            return ""
        raise
    finally:
        await client.close()
    return "; ".join(differences(wanted(settings, Records(settings.prefix).held(settings.topics)), info["config"]))


async def look_at(client: NatsClient, stream: str) -> StreamState:
    """The stream now, as its leader sees it. Raises Unanswered, Refusal."""
    return state_of(await client.ask(f"{API}STREAM.INFO.{stream}"))


def state_of(info: Any) -> StreamState:
    """Out of the answer to STREAM.INFO or STREAM.CREATE."""
    # Whoever asks gets the same time of creation, whichever server answers; made anew it is another stream.
    made = f"{info['config']['name']} {info['created']}"
    state = info["state"]
    return StreamState(hashlib.sha256(made.encode()).hexdigest()[:8], state["first_seq"], state["last_seq"])


def differences(config: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """What differs between the stream that is wanted and the one that is there, and what to do about it."""
    faults = []
    if sorted(found.get("subjects") or ()) != sorted(config["subjects"]):
        faults.append(f"its subjects are {_list(found.get('subjects'))}, expected {_list(config['subjects'])}")
    for key, name, show in (
        ("num_replicas", "replicas", str),
        ("max_bytes", "max_bytes", format_size),
        ("max_age", "max_age", lambda value: format_duration(value / SECOND)),
    ):
        there = found.get(key, 0)
        if there != config[key]:
            shown = show(there) if there > 0 else "unlimited"
            faults.append(f"{name} is {shown}, expected {show(config[key])}")
    if found.get("retention") != "limits" or found.get("discard") != "old":
        faults.append("it does not keep messages by limits and discard the old, expected retention limits")
    if not found.get("allow_atomic"):
        faults.append(f"it takes no atomic batches, expected allow_atomic (nats-server {OLDEST_SERVER} or newer)")
    if not found.get("allow_direct"):
        faults.append("it answers no direct gets, expected allow_direct")
    if found.get("mirror") or found.get("sources"):
        faults.append("it is fed by another stream, expected one of its own")
    return faults


def _hint(refusal: Refusal) -> str:
    if "replicas" in str(refusal):
        return "; expected as many servers as jetstream.replicas says (a single server: 1)"
    if "subjects overlap" in str(refusal):
        return "; expected topics or a prefix that no other stream holds"
    if "storage" in str(refusal) or "resources" in str(refusal):
        return "; expected jetstream.max_bytes to fit into the servers' max_file_store"
    return ""


def _list(subjects: list[str] | None) -> str:
    return ", ".join(subjects or ["none"])
