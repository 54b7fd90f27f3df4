import asyncio
import threading

import pytest

from gateway.logs.worker import Unanswered, Worker


@pytest.fixture
def answers():
    """Set at the end, or a thread would wait for ever."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
async def make_worker(answers):
    made = []

    def make(**options):
        loop = asyncio.get_running_loop()
        made.append(Worker("w", loop.call_soon_threadsafe, **options))
        return made[-1]

    yield make
    answers.set()
    for worker in made:
        worker.stop(5.0)


def ask(worker, work):
    """What becomes of a piece of work."""
    answer = asyncio.get_running_loop().create_future()

    def done(result, failure):
        if failure is not None:
            answer.set_exception(failure)
        else:
            answer.set_result(result)

    worker.submit(work, done)
    return answer


async def test_work_is_done_in_turn_and_answered_on_the_loop(make_worker):
    worker = make_worker()
    found = []
    for number in range(3):
        worker.submit(lambda n=number: n, lambda result, failure: found.append((result, threading.current_thread())))
    assert worker.waiting == 3
    assert await ask(worker, lambda: "last") == "last"
    assert found == [(number, threading.current_thread()) for number in range(3)]
    assert worker.waiting == 0


async def test_a_failure_is_the_askers_and_the_thread_lives_on(make_worker):
    worker = make_worker()
    with pytest.raises(ZeroDivisionError):
        await ask(worker, lambda: 1 / 0)
    assert await ask(worker, lambda: 1) == 1


async def test_a_thread_that_is_at_one_thing_for_too_long_is_told_once_and_heard_all_the_same(make_worker, answers):
    worker = make_worker(later=asyncio.get_running_loop().call_later, patience=0.05)
    told = asyncio.Event()
    times = []
    worker.hangs = lambda: (times.append(worker.waiting), told.set())
    answer = ask(worker, lambda: answers.wait(10))
    await told.wait()
    assert worker.stuck
    await asyncio.sleep(0.2)  # several times its patience
    answers.set()
    assert await answer
    assert not worker.stuck
    assert times == [1]


async def test_many_things_in_a_row_that_take_no_time_are_no_hang(make_worker):
    worker = make_worker(later=asyncio.get_running_loop().call_later, patience=0.05)
    worker.hangs = lambda: pytest.fail("it was told to be stuck")
    tick = threading.Event()
    await asyncio.gather(*(ask(worker, lambda: tick.wait(0.01)) for _ in range(30)))
    assert not worker.stuck


async def test_where_it_gives_up_whoever_waits_or_comes_is_answered_until_it_is_back(make_worker, answers):
    worker = make_worker(later=asyncio.get_running_loop().call_later, patience=0.05, gives_up=True)
    done = []
    waiting = [ask(worker, lambda: answers.wait(10)), ask(worker, lambda: done.append(True))]
    for answer in waiting:
        with pytest.raises(Unanswered, match="has not answered"):
            await answer
    late = ask(worker, lambda: done.append(True))
    assert not late.done()  # in a turn of its own, as ever
    with pytest.raises(Unanswered):
        await late
    answers.set()
    async with asyncio.timeout(5):
        while worker.stuck:  # noqa: ASYNC110 - a thread's doing
            await asyncio.sleep(0.005)
    assert await ask(worker, lambda: 7) == 7
    assert done == []  # nobody waited for it any more


async def test_who_waits_for_a_result_does_so_no_longer_than_he_says(make_worker, answers):
    worker = make_worker()
    assert worker.wait(lambda: 3, 5.0) == 3
    with pytest.raises(ZeroDivisionError):
        worker.wait(lambda: 1 / 0, 5.0)
    with pytest.raises(Unanswered):
        worker.wait(lambda: answers.wait(10), 0.05)
    assert worker.stuck
