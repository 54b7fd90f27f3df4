"""Which version of MQTT is tried first, and for how long a refusal counts."""

import pytest

from gateway.errors import UpstreamError
from gateway.upstream.session import VersionRefused
from gateway.upstream.versions import FORGET, Versions

URL = "mqtt://broker"


class Broker:
    """Refuses MQTT 5 by what it is given; notes what it is asked for."""

    def __init__(self, refusal: UpstreamError | None = None) -> None:
        self.refusal = refusal
        self.asked: list[bool] = []

    async def connect(self, version_5: bool) -> bool:
        self.asked.append(version_5)
        if version_5 and self.refusal is not None:
            raise self.refusal
        return version_5


def refusal(*, certain: bool) -> VersionRefused:
    refused = VersionRefused("refused")
    refused.certain = certain
    return refused


@pytest.mark.parametrize(("certain", "later"), [(True, [False]), (False, [True, False])])
async def test_a_refusal_that_is_said_counts_for_good_and_a_closed_connection_for_an_hour(
    certain: bool, later: list[bool]
) -> None:
    now = 1000.0
    versions = Versions("auto", lambda: now)
    broker = Broker(refusal(certain=certain))
    assert await versions.speak(URL, broker.connect) is False
    now += FORGET - 1
    assert await versions.speak(URL, broker.connect) is False
    assert broker.asked == [True, False, False]
    now += 1
    await versions.speak(URL, broker.connect)

    assert broker.asked[3:] == later


async def test_what_is_known_of_one_broker_is_not_believed_of_another() -> None:
    versions = Versions("auto", lambda: 0.0)
    await versions.speak(URL, Broker(refusal(certain=True)).connect)

    assert await versions.speak("mqtt://other", Broker().connect) is True


async def test_a_broker_that_takes_neither_is_asked_for_5_first_again() -> None:
    """As a proxy does whose broker is not up yet: it accepts the connection, and closes it."""
    versions = Versions("auto", lambda: 0.0)

    async def close(version_5: bool) -> bool:
        raise refusal(certain=False)

    with pytest.raises(VersionRefused):
        await versions.speak(URL, close)

    assert await versions.speak(URL, Broker().connect) is True


@pytest.mark.parametrize(("protocol", "asked"), [("5", [True]), ("3.1.1", [False])])
async def test_a_fixed_version_has_no_alternative(protocol: str, asked: list[bool]) -> None:
    versions = Versions(protocol, lambda: 0.0)  # type: ignore[arg-type]
    seen = []

    async def refuse(version_5: bool) -> bool:
        seen.append(version_5)
        raise refusal(certain=True)

    with pytest.raises(VersionRefused):
        await versions.speak(URL, refuse)

    assert seen == asked


async def test_other_failures_are_no_reason_for_another_version() -> None:
    broker = Broker(UpstreamError("bad credentials"))
    with pytest.raises(UpstreamError, match="bad credentials"):
        await Versions("auto", lambda: 0.0).speak(URL, broker.connect)

    assert broker.asked == [True]
