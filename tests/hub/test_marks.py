from gateway.hub.marks import MOST, Marks


def test_a_message_was_heard_by_the_first_mark_that_has_its_offset():
    marks = Marks()
    marks.set(10, 1.0)
    marks.set(20, 2.0)
    assert [marks.heard_by(offset, 9.0) for offset in (1, 10, 11, 20, 21)] == [1.0, 1.0, 2.0, 2.0, 9.0]


def test_a_mark_without_a_message_says_nothing_new():
    marks = Marks()
    for now in range(100):
        marks.set(10, float(now))
    assert marks.heard_by(10, 999.0) == 0.0


def test_marks_are_bounded_and_of_what_is_long_ago_never_too_early():
    marks = Marks()
    for number in range(1, 50_000):
        marks.set(number, float(number))
    assert len(marks._offsets) <= MOST
    times = [marks.heard_by(offset, 0.0) for offset in range(1, 50_000)]
    assert all(time >= offset for offset, time in enumerate(times, 1))
    assert times[-MOST // 4 :] == [float(number) for number in range(50_000 - MOST // 4, 50_000)]
