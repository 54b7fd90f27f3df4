"""Certificates, keys and secrets are looked at before anything starts."""

from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from support.configfolder import Folder


@pytest.fixture
def pair(folder: Folder, certificate: tuple[Path, Path, Path]) -> Folder:
    """A folder with a good authority, certificate and key in it, and some bad ones."""
    for source, name in zip(certificate, ("ca.pem", "c.pem", "k.pem"), strict=True):
        (folder.path / name).write_bytes(source.read_bytes())
    (folder.path / "garbage.pem").write_text("nothing to see")
    trustme.CA().issue_cert("other").private_key_pem.write_to_path(folder.path / "other.pem")
    key = load_pem_private_key((folder.path / "k.pem").read_bytes(), None)
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    (folder.path / "locked.pem").write_bytes(locked)
    return folder


def listener(chain: str, key: str) -> str:
    return f'[[listen]]\ntls.certificate = "{chain}"\ntls.key = "{key}"'


def test_a_good_pair_is_taken(pair: Folder) -> None:
    assert pair.load(listener("c.pem", "k.pem")).listen[0].tls


@pytest.mark.parametrize(
    ("chain", "key", "problem"),
    [
        (
            "gone.pem",
            "k.pem",
            "2: listen[0].tls.certificate: gone.pem cannot be read: No such file or directory, "
            "expected a file that this user may read",
        ),
        (".", "k.pem", "2: listen[0].tls.certificate: "),
        ("garbage.pem", "k.pem", "2: listen[0].tls.certificate: garbage.pem holds no usable certificate, expected PEM"),
        ("k.pem", "k.pem", "2: listen[0].tls.certificate: k.pem holds no usable certificate, expected PEM"),
        ("c.pem", "garbage.pem", "3: listen[0].tls.key: garbage.pem holds no usable private key, expected PEM"),
        ("c.pem", "c.pem", "3: listen[0].tls.key: c.pem holds no usable private key, expected PEM"),
        (
            "c.pem",
            "other.pem",
            "3: listen[0].tls.key: other.pem does not belong to c.pem, expected the key of that certificate",
        ),
        (
            "c.pem",
            "locked.pem",
            "3: listen[0].tls.key: locked.pem is locked by a passphrase, expected a key without one",
        ),
    ],
)
def test_a_bad_pair_is_one_clear_line(pair: Folder, chain: str, key: str, problem: str) -> None:
    (line,) = pair.problems(listener(chain, key))
    assert line.startswith(f"config.toml:{problem}")


def test_both_files_are_looked_at(pair: Folder) -> None:
    assert len(pair.problems(listener("gone.pem", "gone-too.pem"))) == 2


def upstream(tls: str) -> str:
    return f'[[upstream]]\nurls = ["mqtts://a"]\nusername = "u"\n{tls}'


def test_what_an_upstream_names_is_looked_at_too(pair: Folder) -> None:
    (pair.path / "password").write_text("secret")
    good = 'password_file = "password"\ntls = { ca = "ca.pem", certificate = "c.pem", key = "k.pem" }'
    assert pair.load(upstream(good)).upstream[0].password_file == pair.path / "password"
    assert pair.problems(upstream('password_file = "gone"\ntls = { ca = "garbage.pem", certificate = "c.pem" }')) == [
        "config.toml:4: upstream[0].password_file: gone cannot be read: No such file or directory, "
        "expected a file that this user may read",
        "config.toml:5: upstream[0].tls.ca: garbage.pem holds no certificate, expected PEM",
        "config.toml:5: upstream[0].tls.key: c.pem holds no usable private key, expected PEM",
    ]


def test_certificate_and_key_in_one_file_are_a_pair(pair: Folder) -> None:
    both = (pair.path / "c.pem").read_bytes() + (pair.path / "k.pem").read_bytes()
    (pair.path / "both.pem").write_bytes(both)
    assert pair.load(upstream('tls = { certificate = "both.pem" }')).upstream[0].tls.key is None


SEED = "SU" + "A" * 56
CREDENTIALS = f"""-----BEGIN NATS USER JWT-----
a.b.c-_
------END NATS USER JWT------

-----BEGIN USER NKEY SEED-----
{SEED}
------END USER NKEY SEED------
"""
NATS = 'history.log = "jetstream"\n'


@pytest.mark.parametrize(("key", "text"), [("credentials", CREDENTIALS), ("nkey_file", f"{SEED}\n")])
def test_keys_for_nats_are_taken(folder: Folder, key: str, text: str) -> None:
    (folder.path / "key").write_text(text)
    assert folder.load(f'{NATS}history.jetstream.{key} = "key"').history.log == "jetstream"


@pytest.mark.parametrize(
    ("key", "text", "problem"),
    [
        ("credentials", "", "holds no user JWT, expected a .creds file as nsc generate creds makes it"),
        ("credentials", CREDENTIALS.replace("JWT", "JOT"), "holds no user JWT, "),
        ("credentials", CREDENTIALS[:60], "holds no user's seed, "),
        ("credentials", CREDENTIALS.replace("SUA", "SAA"), "holds no user's seed, "),
        ("nkey_file", CREDENTIALS, "holds no user's seed, expected SU and 56 characters as nk -gen user makes them"),
        ("nkey_file", SEED[:-1], "holds no user's seed, "),
    ],
)
def test_keys_for_nats_are_looked_into_and_never_repeated(folder: Folder, key: str, text: str, problem: str) -> None:
    (folder.path / "key").write_text(text)
    [found] = folder.problems(f'{NATS}history.jetstream.{key} = "key"')
    assert found.startswith(f"config.toml:2: history.jetstream.{key}: ")
    assert problem in found
    assert "AAAA" not in found


def test_tokens_in_a_folder_that_this_user_may_not_look_into_are_a_problem_of_their_key(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was a traceback of check."""

    def refuse(path: Path, *arguments: object, **how: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    stat, read = Path.stat, Path.open
    monkeypatch.setattr(Path, "stat", lambda path, **how: refuse(path) if path.name == "tok" else stat(path, **how))
    monkeypatch.setattr(
        Path, "open", lambda path, *how, **more: refuse(path) if path.name == "tok" else read(path, *how, **more)
    )
    (problem,) = folder.problems('[auth]\ntokens_file = "tok"')
    assert problem.startswith("config.toml:2: auth.tokens_file: ")
    assert "tok cannot be read: Permission denied, expected a file that this user may read" in problem
