"""The files that a configuration names: there, readable, and what they should be."""

from collections.abc import Callable
from pathlib import Path as FilePath

from gateway.config.model import Config
from gateway.config.natskeys import credentials_of, seed_of
from gateway.config.positions import Path
from gateway.config.report import Report


def check_files(config: Config, report: Report) -> None:
    """Add to `report` every certificate, key and secret that could not be used."""
    for index, upstream in enumerate(config.upstream):
        path: Path = ("upstream", index)
        _readable(upstream.password_file, (*path, "password_file"), report)
        tls: Path = (*path, "tls")
        _check_authority(upstream.tls.ca, (*tls, "ca"), report)
        if upstream.tls.certificate:
            _check_pair(upstream.tls.certificate, upstream.tls.key, tls, report)
    for index, listen in enumerate(config.listen):
        if listen.tls is not None:
            tls = ("listen", index, "tls")
            _check_pair(listen.tls.certificate, listen.tls.key, tls, report)
            _check_authority(listen.tls.client_ca, (*tls, "client_ca"), report)
    _check_nats(config, report)
    if config.auth.tokens_file is not None and not _is_missing(config.auth.tokens_file):
        # One that is not there holds no token yet: `token new` makes it.
        _readable(config.auth.tokens_file, ("auth", "tokens_file"), report)
    if config.auth.jwt is not None:
        _readable(config.auth.jwt.key_file, ("auth", "jwt", "key_file"), report)


def _check_nats(config: Config, report: Report) -> None:
    settings, path = config.history.jetstream, ("history", "jetstream")
    for key in ("password_file", "token_file"):
        _readable(getattr(settings, key), (*path, key), report)
    _check_content(settings.credentials, credentials_of, (*path, "credentials"), report)
    _check_content(settings.nkey_file, seed_of, (*path, "nkey_file"), report)
    _check_authority(settings.tls.ca, (*path, "tls", "ca"), report)
    if settings.tls.certificate:
        _check_pair(settings.tls.certificate, settings.tls.key, (*path, "tls"), report)


def _is_missing(file: FilePath) -> bool:
    try:
        file.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        pass  # what is wrong with it shows when it is read
    return False


def _readable(file: FilePath | None, path: Path, report: Report) -> bool:
    if file is None:
        return False
    try:
        with file.open("rb") as opened:
            opened.read(1)
    except OSError as error:
        report.clash(path, f"{file} cannot be read: {error.strerror}, expected a file that this user may read")
        return False
    return True


def _check_content(file: FilePath | None, read: Callable[[str], object], path: Path, report: Report) -> None:
    if file is None or not _readable(file, path, report):
        return
    try:
        read(file.read_text("utf-8", "replace"))
    except ValueError as error:
        report.clash(path, f"{file} {error}")


def _check_authority(file: FilePath | None, path: Path, report: Report) -> None:
    if not _readable(file, path, report):
        return
    import ssl  # only a configuration with TLS pays for it

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(file)
    except ssl.SSLError:
        report.clash(path, f"{file} holds no certificate, expected PEM")


def _check_pair(certificate: FilePath | None, key: FilePath | None, tls: Path, report: Report) -> None:
    """Load certificate and key the way a listener does, so that a broken pair is found before anything starts."""
    at_certificate, at_key = (*tls, "certificate"), (*tls, "key")
    found = [
        _readable(certificate, at_certificate, report),
        key is None or _readable(key, at_key, report),
    ]
    if certificate is None or not all(found):
        return
    import ssl

    locked = False

    def passphrase() -> str:
        nonlocal locked
        locked = True
        return ""  # without an answer OpenSSL would ask on the terminal

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, passphrase)
    except ssl.SSLError as error:
        if locked:
            report.clash(at_key, f"{key or certificate} is locked by a passphrase, expected a key without one", tls)
        elif error.reason == "KEY_VALUES_MISMATCH":
            report.clash(at_key, f"{key} does not belong to {certificate}, expected the key of that certificate", tls)
        elif _has_certificate(certificate):
            report.clash(at_key, f"{key or certificate} holds no usable private key, expected PEM", tls)
        else:
            report.clash(at_certificate, f"{certificate} holds no usable certificate, expected PEM", tls)


def _has_certificate(file: FilePath) -> bool:
    import ssl

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(file)
    except ssl.SSLError:
        return False
    return True
