"""The keys of `[[device]]`: what a topic's payloads mean, and how they are named and thinned."""

from typing import Annotated, Literal

import msgspec

from gateway.config import kinds as k
from gateway.config.rows import Row, Tables


class Mapping(msgspec.Struct, frozen=True, kw_only=True):
    quantity: Annotated[
        str, Row(k.text(), "what is measured, as Home Assistant's device classes call it", "temperature")
    ]
    path: Annotated[str, Row(k.text(), "jmespath of the value inside the payload; empty: all of it")] = ""
    unit: Annotated[str, Row(k.text(), "unit of the result")] = ""
    device: Annotated[
        str, Row(k.text(), "device; a named level of the filter is written +name; empty: from the topic")
    ] = ""
    channel: Annotated[str, Row(k.text(), "channel; a named level of the filter is written +name")] = ""
    scale: Annotated[float, Row(k.number(), "the value is multiplied by this")] = 1.0
    offset: Annotated[float, Row(k.number(), "then this is added")] = 0.0
    deadband: Annotated[float, Row(k.number(), "smaller changes are left out; 0: none")] = 0.0
    min_interval: Annotated[float, Row(k.duration("0s", "1d"), "readings come no faster than this")] = 0.0
    range: Annotated[
        tuple[float, ...], Row(k.many(k.number()), "[low, high]; values outside are flagged; empty: any")
    ] = ()


class Device(msgspec.Struct, frozen=True, kw_only=True):
    filter: Annotated[str, Row(k.named_filter(), "topics it is about; +name names a level", "plant/+line/raw")]
    family: Annotated[str, Row(k.text(), "decoder; auto: found by topic and payload")] = "auto"
    name: Annotated[str, Row(k.text(), "name for people; empty: as the device says")] = ""
    area: Annotated[str, Row(k.text(), "where it is; empty: unknown")] = ""
    stale_after: Annotated[
        float | None, Row(k.auto(k.duration("1s", "365d")), "silence after which it is stale; auto: learned")
    ] = None
    keep: Annotated[Literal["latest", "all"], Row(k.choice("latest", "all"), "all: never merged for slow clients")] = (
        "latest"
    )
    format: Annotated[str, Row(k.choice("json", "cbor", "msgpack", "text"), "of the payload, for readings below")] = (
        "json"
    )
    readings: Annotated[tuple[Mapping, ...], Row(Tables(Mapping), "values to take out of the payload")] = ()
