import multiprocessing
import os
import stat

import pytest

from gateway.edge.tokens import Token, Tokens
from gateway.errors import GatewayError


@pytest.fixture
def tokens(tmp_path):
    return Tokens(tmp_path / "state" / "tokens.json")


def test_a_token_signs_in_until_it_is_revoked(tokens):
    text = tokens.new("kiosk", "viewer", now=100.0)
    assert tokens.refresh()
    found = tokens.verify(text, 200.0)
    assert isinstance(found, Token)
    assert (found.name, found.role, found.created, found.expires) == ("kiosk", "viewer", 100.0, None)
    tokens.revoke("kiosk")
    assert tokens.refresh()
    assert tokens.verify(text, 200.0) == "this token is not known here"


def test_the_secret_has_256_bits_and_is_kept_nowhere(tokens):
    text = tokens.new("kiosk", "viewer", now=0.0)
    prefix, id, secret = text.split("_", 2)
    assert (prefix, len(id), len(secret)) == ("gw", 10, 43)
    assert secret not in tokens.path.read_text()
    assert stat.S_IMODE(tokens.path.stat().st_mode) == 0o640
    assert tokens.new("other", "viewer", now=0.0) != text


def test_it_expires(tokens):
    text = tokens.new("kiosk", "viewer", now=0.0, expires=100.0)
    tokens.refresh()
    assert isinstance(tokens.verify(text, 99.9), Token)
    assert tokens.verify(text, 100.0) == "this token has expired"


@pytest.mark.parametrize("change", ["x", "", "gw_", "gw_aaaaaaaaaa_x", "gw_ä_ö", "gw_" + "a" * 10 + "_" + "A" * 43])
def test_what_is_no_token_is_refused_without_repeating_it(tokens, change):
    tokens.new("kiosk", "viewer", now=0.0)
    tokens.refresh()
    verdict = tokens.verify(change, 0.0)
    assert isinstance(verdict, str)
    assert not change or change not in verdict or change == "x"


def test_the_right_id_with_another_secret_is_refused(tokens):
    text = tokens.new("kiosk", "viewer", now=0.0)
    tokens.refresh()
    assert isinstance(tokens.verify(text[:-1] + ("A" if text[-1] != "A" else "B"), 0.0), str)


def test_names_are_unique_and_usable(tokens):
    tokens.new("kiosk", "viewer", now=0.0)
    with pytest.raises(GatewayError, match="already"):
        tokens.new("kiosk", "viewer", now=0.0)
    for name in ("", "a b", "a/b", "+", "-x"):
        with pytest.raises(GatewayError, match="no usable name"):
            tokens.new(name, "viewer", now=0.0)
    with pytest.raises(GatewayError, match="there is no token"):
        tokens.revoke("nobody")


def test_the_file_is_read_again_only_when_it_changes(tokens):
    assert not Tokens(tokens.path).all()
    tokens.refresh()
    assert not tokens.refresh()
    tokens.new("a", "viewer", now=0.0)
    assert tokens.refresh()
    assert not tokens.refresh()


def test_a_broken_file_keeps_the_tokens_of_before_and_is_told_of_once(tokens):
    text = tokens.new("kiosk", "viewer", now=0.0)
    tokens.refresh()
    tokens.path.write_text('{"tokens": [{"id": 1}]}')
    with pytest.raises(GatewayError, match="no file of tokens"):
        tokens.refresh()
    assert not tokens.refresh()
    assert isinstance(tokens.verify(text, 0.0), Token)


def _make(path, number):
    tokens = Tokens(path)
    for each in range(5):
        tokens.new(f"t{number}-{each}", "viewer", now=0.0)


def test_two_processes_do_not_lose_each_others_tokens(tokens):
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_make, args=(tokens.path, number)) for number in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    tokens.refresh()
    assert len(tokens.all()) == 15


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(GatewayError, match=str(tmp_path / "file")):
        Tokens(tmp_path / "file" / "tokens.json").new("a", "viewer", now=0.0)
    assert os.listdir(tmp_path) == ["file"]
