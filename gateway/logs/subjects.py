"""MQTT topics as NATS subjects and back, exactly: NATS' own mapping where it has one, else an escape. Pure.

NATS' MQTT listener writes `/` between levels as `.`, a `.` as `//`, and gives an empty level a `/` of its own, since a
NATS token is never empty: `/a` is `/.a`, `a//b` is `a./.b`, `a/` is `a./` (nats-server, mqtt.go). What it leaves out
are characters that a subject cannot have; in its mapping a `/` is followed by `.` or `/` or ends a token, so that any
other character behind a `/` is free: a blank is `/s`, another control character `/u` and four hex digits, and a level
that would be a wildcard, `*` or `>`, is `/*` or `/>`. A topic whose subject would be too long for a NATS server's
control line is `/long.` and its hash; its name goes along in a header.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence

from gateway.topics import validate_topic

LONGEST = 2048
"""Bytes of a subject; a server takes a command line of 4096 by default, of which a reply subject is a part."""
LONG = "/long"
MAX_NAMES = 65_536

_PLAIN = re.compile(r"[^/.\x00-\x20\x7f*>]+(?:/[^/.\x00-\x20\x7f*>]+)*")
_CODES = {"s": " ", "*": "*", ">": ">"}
_HEX = re.compile("[0-9a-f]{4}")


def subject_of(topic: str) -> str:
    """The subject of a topic without wildcards, however long."""
    return topic.replace("/", ".") if _PLAIN.fullmatch(topic) else _converted(topic, {})


def subjects_of_filter(filter: str) -> Sequence[str]:
    """The NATS subjects that stand for an MQTT filter; two where it ends in `/#`, which matches its parent too."""
    found = _converted(filter, {"+": "*", "#": ">"})
    above = filter.removesuffix("/#")
    return (found,) if above in (filter, "") else (*subjects_of_filter(above), found)


def _converted(text: str, wildcards: Mapping[str, str]) -> str:
    found: list[str] = []
    end = len(text) - 1
    for position, character in enumerate(text):
        if character == "/":
            if position == 0 or found[-1][-1] == ".":
                found.append("/.")
            elif position == end or text[position + 1] == "/":
                found.append("./")
            else:
                found.append(".")
        elif character == ".":
            found.append("//")
        elif character in wildcards:
            found.append(wildcards[character])
        elif character == " ":
            found.append("/s")
        elif character < " " or character == "\x7f":
            found.append(f"/u{ord(character):04x}")
        elif (
            character in "*>" and (not found or found[-1][-1] == ".") and text[position + 1 : position + 2] in ("", "/")
        ):
            found.append(f"/{character}")
        else:
            found.append(character)
    if found[-1][-1] == ".":
        found.append("/")
    return "".join(found)


def topic_of(subject: str) -> str:
    """The topic of a subject. Subjects that no topic has are read as NATS' MQTT listener reads them."""
    if "/" not in subject:
        return subject.replace(".", "/")
    found: list[str] = []
    position, end = 0, len(subject)
    while position < end:
        character = subject[position]
        position += 1
        if character == ".":
            found.append("/")
        elif character != "/":
            found.append(character)
        elif position < end:
            follows = subject[position]
            position += 1
            if follows in "./":
                found.append("/" if follows == "." else ".")
            elif follows == "u" and _HEX.fullmatch(subject[position : position + 4]):
                found.append(chr(int(subject[position : position + 4], 16)))
                position += 4
            else:
                found.append(_CODES.get(follows, follows))
    return "".join(found)


class Subjects(dict[str, str]):
    """Topic → subject with a prefix, each worked out once; bounded, since a topic costs little to look at again."""

    def __init__(self, prefix: str) -> None:
        super().__init__()
        self._lead = f"{prefix}." if prefix else ""
        self._topics: dict[str, str] = {}

    def __missing__(self, topic: str) -> str:
        subject = self._lead + subject_of(topic)
        if len(subject.encode()) > LONGEST:
            subject = f"{self._lead}{LONG}.{hashlib.sha256(topic.encode()).hexdigest()}"
        if len(self) >= MAX_NAMES:
            self.clear()
        self[topic] = subject
        return subject

    def is_long(self, subject: str) -> bool:
        """Whether the topic of a subject stands in a header."""
        return subject.startswith(f"{self._lead}{LONG}.")

    def topic(self, subject: str) -> str:
        """The topic of a subject with the prefix, the very same str every time; "" where it is none of MQTT's."""
        topics = self._topics
        topic = topics.get(subject)
        if topic is None:
            if len(topics) >= MAX_NAMES:
                topics.clear()
            topic = topic_of(subject.removeprefix(self._lead))
            try:
                validate_topic(topic)
            except ValueError:
                topic = ""  # somebody else's: NATS allows wildcard characters of MQTT in a subject
            topics[subject] = topic
        return topic

    def held(self, filters: Sequence[str]) -> list[str]:
        """The subjects that a stream has to hold for these filters."""
        if self._lead and "#" in filters:
            return [f"{self._lead}>"]
        found = [f"{self._lead}{subject}" for filter in filters for subject in subjects_of_filter(filter)]
        return list(dict.fromkeys([*found, f"{self._lead}{LONG}.*"]))
