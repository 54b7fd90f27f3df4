"""The budget of all outboxes: shared batches counted once, the largest shed first, all given back."""

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.hub.batch import Batch
from gateway.hub.budget import STUCK, Budget
from gateway.hub.message import Message
from gateway.hub.outbox import Bounds, Outbox, Overflow, Policy


def batch(offset, size=100, topic="t"):
    message = Message(topic, b"", 0.0, "u", False, 0, offset)
    return Batch([b"x" * size], [message])


class House:
    def __init__(self, **options):
        self.turns, self.ended = [], []
        self.budget = Budget(schedule=self.turns.append, **options)

    def outbox(self, name, **bounds):
        bounds = {"soft": 1 << 20, "hard": 1 << 21, **bounds}

        def end():
            self.ended.append(name)
            outbox.close()
            self.budget.close(outbox)

        outbox = Outbox(Bounds(**bounds), lambda ledger: b"<%d>" % ledger.count, budget=self.budget, end=end)
        self.budget.open(outbox)
        return outbox

    def turn(self):
        for function in self.turns:
            function()
        self.turns.clear()


def test_a_batch_that_many_share_counts_once():
    house = House()
    shared = batch(1)
    outboxes = [house.outbox(n) for n in range(10)]
    for outbox in outboxes:
        outbox.push(shared, now=0.0)
    assert house.budget.size == 100
    for outbox in outboxes:
        outbox.close()
    assert house.budget.size == 0


def test_a_smaller_bound_counts_at_once():
    house = House(limit=1000)
    outbox = house.outbox("client")
    for offset in range(1, 10):
        outbox.push(batch(offset), now=0.0)
    house.turn()
    assert outbox.size == 900
    house.budget.adopt(limit=500, kernel=1 << 20)
    house.turn()
    assert (outbox.size, outbox.ledger.count) == (0, 9)


def test_the_largest_is_shed_first_and_is_told_so():
    house = House(limit=1000)
    small, large = house.outbox("small"), house.outbox("large")
    small.push(batch(1), now=0.0)
    for offset in range(2, 13):
        large.push(batch(offset), now=0.0)
    house.turn()
    assert (small.size, large.size, large.ledger.count) == (100, 0, 11)
    assert house.budget.size == 100
    assert house.ended == []


def test_who_holds_what_nothing_can_shed_is_ended():
    house = House(limit=1000)
    small, large = house.outbox("small"), house.outbox("large")
    small.push(batch(1), now=0.0)
    large.push(Batch([b"r" * 2000], None), now=None)
    house.turn()
    assert house.ended == ["large"]
    assert house.budget.size == 0


def test_stuck_sockets_give_the_kernels_memory_back_the_largest_first():
    house = House(kernel=250, share=100)
    outboxes = [house.outbox(n) for n in range(5)]
    for number, outbox in enumerate(outboxes):
        outbox.push(batch(number + 1, size=10 * (number + 1)), now=0.0)
    for _ in range(STUCK):
        house.budget.tick()
        assert house.ended == []
    house.budget.tick()
    assert house.ended == [4, 3, 2]
    assert house.budget.kernel_size == 200


def test_a_burst_that_fills_every_socket_for_a_moment_ends_nobody():
    house = House(kernel=100, share=100)
    outboxes = [house.outbox(n) for n in range(5)]
    for tick in range(20):
        for outbox in outboxes:
            outbox.push(batch(tick + 1), now=0.0)
            outbox.took(len(outbox.chunk(50)))
        house.budget.tick()
    assert house.ended == []


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("push"), st.lists(st.sampled_from("abcdef"), min_size=1, max_size=12)),
            st.tuples(st.just("take"), st.integers(1, 300)),
            st.tuples(st.sampled_from(["own", "replay", "short", "refused", "control", "shed", "close"]), st.just(0)),
        ),
        max_size=40,
    ),
    st.sampled_from([Policy.LATEST, Policy.DROP_OLDEST, Policy.DISCONNECT]),
    st.integers(20, 400),
)
def test_whatever_happens_what_was_held_is_given_back(steps, policy, soft):
    house = House()
    outboxes = [house.outbox(n, policy=policy, soft=soft, hard=3 * soft) for n in range(2)]
    offset = 0
    for number, (step, value) in enumerate(steps):
        outbox = outboxes[number % 2]
        messages = []
        for topic in value if step == "push" else "abca":
            offset += 1
            messages.append(Message(topic, b"", 0.0, "u", False, 0, offset))
        made = Batch([b"[%d%b]" % (m.offset, b"x" * (m.offset % 9)) for m in messages], messages)
        try:
            if step == "push":
                for each in outboxes:
                    each.push(made, now=0.0)
            elif step == "take":
                chunk = outbox.chunk(64)
                if chunk is not None:
                    outbox.took(min(value, len(chunk)))
            elif step == "own":
                outbox.solo(b"own")
            elif step == "replay":
                outbox.push(Batch([b"replay"] * 3, None), now=None)
            elif step == "control":
                outbox.control(b"ping")
            elif step == "shed":
                outbox.shed()
            elif step == "close":
                outbox.close()
            elif not outbox:
                if step == "short":
                    outbox.resume(made, 5, now=0.0)
                else:
                    outbox.refused(made)
        except Overflow:
            outbox.close()
        for each in outboxes:
            assert 0 <= each.waiting <= each.size
    for outbox in outboxes:
        while (chunk := outbox.chunk(1 << 20)) is not None:
            outbox.took(len(chunk))
        assert (outbox.size, outbox.waiting) == (0, 0)
    assert house.budget.size == 0
