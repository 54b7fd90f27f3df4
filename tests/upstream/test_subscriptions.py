from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from gateway.config import UpstreamTopic
from gateway.upstream.subscriptions import Grant, granted, refusals, request, wanted


def test_each_filter_is_asked_for_once_with_its_highest_qos() -> None:
    topics = [UpstreamTopic(filter="a", qos=1), UpstreamTopic(filter="b"), UpstreamTopic(filter="a", qos=0)]

    assert wanted(topics, durable=False) == [("a", 1), ("b", 0)]


def test_durable_takes_qos_2_down_to_1() -> None:
    assert wanted([UpstreamTopic(filter="a", qos=2)], durable=True) == [("a", 1)]


def test_the_topic_of_the_probe_is_asked_for_too() -> None:
    assert wanted([UpstreamTopic(filter="a")], durable=False, own="x/canary") == [("a", 0), ("x/canary", 0)]


def test_mqtt_3_1_1_gets_plain_qos() -> None:
    assert request([("a", 1)], version_5=False, session_present=True) == [("a", 1)]


def test_answers_are_paired_with_their_filters() -> None:
    codes = [ReasonCode(PacketTypes.SUBACK, identifier=value) for value in (1, 0x87)]

    grants = granted([("a", 1), ("b", 1), ("c", 0)], codes)

    assert grants == [Grant("a", 1, ""), Grant("b", None, "Not authorized"), Grant("c", None, "no answer for it")]


def test_many_refusals_are_cut_short() -> None:
    grants = [Grant(f"f/{number}", None, "Not authorized") for number in range(8)]

    assert refusals(grants).endswith('"f/4" (Not authorized) and 3 more')
    assert refusals([Grant("a", 1, "")]) == ""
