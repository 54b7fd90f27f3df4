from gateway.edge.origin import Verdict
from gateway.edge.rejections import KEPT, LINES, Rejections

REFUSED = Verdict(False, "not allowed here", 'allow = ["https://evil.example"]')


def test_an_origin_is_kept_with_its_reason_and_remedy_and_said_once_a_minute():
    seen = Rejections()
    first = seen.add("https://evil.example", "box", REFUSED, ["https://a"], now=0.0, wall=1000.0)
    assert first.remedy == '[origins] allow = ["https://a", "https://evil.example"]'
    assert seen.add("https://evil.example", "box", REFUSED, [], now=59.0, wall=1059.0) is None
    again = seen.add("https://evil.example", "box", REFUSED, [], now=60.0, wall=1060.0)
    assert (again.count, again.last, seen.total) == (3, 1060.0, 3)
    assert [each.origin for each in seen.latest()] == ["https://evil.example"]


def test_made_up_origins_fill_neither_memory_nor_log():
    seen = Rejections()
    said = [seen.add(f"https://{n}.example", "box", REFUSED, [], now=0.0, wall=0.0) for n in range(500)]
    assert sum(each is not None for each in said) == LINES
    assert len(seen.latest()) == KEPT
    assert seen.latest()[0].origin == "https://499.example"
    assert len(seen._said) <= KEPT


def test_that_there_are_more_than_the_log_tells_is_known_once_a_minute():
    seen = Rejections()
    overflows = []
    for number in range(500):
        seen.add(f"https://{number}.example", "box", REFUSED, [], now=0.0, wall=0.0)
        overflows.append(seen.overflow)
    assert [number for number, overflow in enumerate(overflows) if overflow] == [LINES]
