from gateway.upstream.acknowledgements import REMEMBERED, Acknowledgements


class Sent:
    def __init__(self) -> None:
        self.mids: list[int] = []
        self.acknowledgements = Acknowledgements(self.mids.extend)
        self.acknowledgements.connected(False)


def receipts(*mids: int) -> list[tuple[int, str, int]]:
    return [(mid, f"t/{mid}", mid * 7) for mid in mids]


def test_nothing_is_acknowledged_before_it_is_durable() -> None:
    sent = Sent()
    durable = sent.acknowledgements.take_in(receipts(1, 2))

    assert sent.mids == []
    assert sent.acknowledgements.outstanding == 2

    durable()

    assert sent.mids == [1, 2]
    assert sent.acknowledgements.outstanding == 0


def test_a_later_batch_waits_for_the_earlier_one() -> None:
    sent = Sent()
    first = sent.acknowledgements.take_in(receipts(1, 2))
    second = sent.acknowledgements.take_in(receipts(3))

    second()
    assert sent.mids == []
    first()

    assert sent.mids == [1, 2, 3]


def test_an_acknowledgement_of_an_earlier_connection_is_dropped() -> None:
    sent = Sent()
    stale = sent.acknowledgements.take_in(receipts(1))
    sent.acknowledgements.connected(True)
    fresh = sent.acknowledgements.take_in([(1, "other", 5)])

    stale()
    assert sent.mids == []
    fresh()

    assert sent.mids == [1]


def test_a_redelivered_message_is_known_by_number_topic_and_payload() -> None:
    sent = Sent()
    sent.acknowledgements.take_in(receipts(1))
    sent.acknowledgements.connected(True)

    assert sent.acknowledgements.redelivered((1, "t/1", 7))
    assert not sent.acknowledgements.redelivered((1, "t/1", 8))
    assert not sent.acknowledgements.redelivered((1, "t/2", 7))
    assert not sent.acknowledgements.redelivered((2, "t/1", 7))


def test_a_redelivered_message_is_acknowledged_only_when_the_first_one_is_durable() -> None:
    sent = Sent()
    first = sent.acknowledgements.take_in(receipts(1))
    sent.acknowledgements.connected(True)
    again = sent.acknowledgements.take_in(receipts(1))

    again()
    assert sent.mids == []
    first()

    assert sent.mids == [1]


def test_with_a_new_session_nothing_counts_as_redelivered() -> None:
    sent = Sent()
    sent.acknowledgements.take_in(receipts(1))

    sent.acknowledgements.connected(False)

    assert not sent.acknowledgements.redelivered((1, "t/1", 7))


def test_what_is_remembered_is_bounded_and_the_newest() -> None:
    sent = Sent()
    last = REMEMBERED + 100

    for mid in range(1, last + 1):
        sent.acknowledgements.take_in(receipts(mid))()

    assert not sent.acknowledgements.redelivered((100, "t/100", 700))
    assert sent.acknowledgements.redelivered((101, "t/101", 707))
    assert sent.acknowledgements.redelivered((last, f"t/{last}", last * 7))
