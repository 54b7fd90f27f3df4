import logging

from gateway.edge.audit import Seldom, audit


def test_a_line_names_the_facts_and_leaves_out_what_is_not_there(caplog):
    with caplog.at_level(logging.INFO, "gateway.audit"):
        audit("sign-in", "ok", address="::1", user="ann", session=None, reason="")
    assert caplog.messages == ["audit action=sign-in result=ok address=::1 user=ann"]


def test_text_of_others_stays_on_its_line(caplog):
    with caplog.at_level(logging.INFO, "gateway.audit"):
        audit("sign-in", "refused", user='a\nresult=ok \x1b[31m\u202e"')
    assert caplog.messages == [r'audit action=sign-in result=refused user="a\nresult=ok \u001b[31m\u202e\""']


def test_long_text_is_cut(caplog):
    with caplog.at_level(logging.INFO, "gateway.audit"):
        audit("publish", "ok", topic="x" * 1000)
    assert len(caplog.messages[0]) < 300


def test_a_log_that_is_turned_down_still_has_it(caplog):
    logging.getLogger("gateway").setLevel(logging.ERROR)
    try:
        assert logging.getLogger("gateway.audit").isEnabledFor(logging.INFO)
    finally:
        logging.getLogger("gateway").setLevel(logging.NOTSET)


def test_the_same_over_and_over_is_due_once_a_period_and_counted():
    seldom = Seldom()
    due = [seldom.due(("/metrics", "ann"), float(second), 60.0) for second in range(0, 150, 15)]
    assert due == [1, 0, 0, 0, 4, 0, 0, 0, 4, 0]
    assert seldom.due(("/metrics", "bob"), 150.0, 60.0) == 1


def test_made_up_readers_take_no_memory():
    seldom = Seldom()
    assert all(seldom.due((str(number),), 0.0, 60.0) for number in range(3000))
    assert len(seldom._said) == 1000
