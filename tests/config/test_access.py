"""What anybody may read is said before it can be read."""

import pytest
from support.configfolder import Folder

from gateway.config import anonymous_role, first_word


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "",
            "Without signing in anybody on this machine may read # (role viewer) on 127.0.0.1:8880; "
            "nobody else may read anything.",
        ),
        ('auth.anonymous = ""', "Without signing in nobody may read anything."),
        (
            'auth.anonymous = "viewer"\nlisten = [{ address = ["0.0.0.0", "::1"], insecure = true }]',
            "Without signing in anybody who reaches 0.0.0.0:8880, [::1]:8880 may read # (role viewer).",
        ),
        (
            'auth.anonymous = "guest"\nrole = [{ name = "guest", subscribe = ["a/#", "b"] }]',
            "Without signing in anybody who reaches 127.0.0.1:8880 may read a/#, b (role guest).",
        ),
        (
            'auth.anonymous = "guest"\nrole = [{ name = "guest", subscribe = [] }]',
            "Without signing in anybody who reaches 127.0.0.1:8880 may read nothing (role guest).",
        ),
        (
            'listen = [{ address = "0.0.0.0", insecure = true }]',
            "Without signing in anybody on this machine may read # (role viewer) on 0.0.0.0:8880; "
            "nobody else may read anything.",
        ),
    ],
)
def test_one_line_says_who_may_read_what(folder: Folder, text: str, words: str) -> None:
    assert first_word(folder.load(text)) == words


def test_local_is_a_role_for_this_machine_only(folder: Folder) -> None:
    config = folder.load("")
    assert anonymous_role(config, config.listen[0], local=True) == config.role[0]
    assert anonymous_role(config, config.listen[0], local=False) is None
