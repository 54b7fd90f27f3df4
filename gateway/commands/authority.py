"""An authority of one's own and the certificates it signs, with the library `cryptography` (extra `cert`).

Phones and browsers are told to trust the authority once; what it signs may then be renewed as often as needed.
"""

import contextlib
import socket
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from gateway.commands.causes import denied
from gateway.config.addresses import is_host_name
from gateway.errors import GatewayError
from gateway.whole import write_whole

CA = "ca.pem"
CA_KEY = "ca-key.pem"
CERTIFICATE = "certificate.pem"
KEY = "key.pem"
CA_DAYS = 3650
DAYS = 397  # browsers refuse certificates that are valid for longer
_NEEDS_LIBRARY = "certificates need the library cryptography: install 'sensor-gateway[cert]'"


def make(folder: Path, names: Sequence[str], *, now: datetime | None = None, days: int = DAYS) -> Path:
    """Make a certificate for `names` (hosts and addresses) in `folder`, and the authority that signs it, if need be.

    Returns the authority's file. Raises GatewayError where the folder cannot be written or `cryptography` is missing.
    """
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
    except ImportError:
        raise GatewayError(_NEEDS_LIBRARY) from None

    start = (now or datetime.now(UTC)) - timedelta(minutes=5)  # clients with a clock that is a little behind
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    unlocked = serialization.NoEncryption()

    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])

    def general(name: str) -> x509.GeneralName:
        try:
            return x509.IPAddress(ip_address(name))
        except ValueError:
            return x509.DNSName(name)

    try:
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        if (folder / CA).exists() and (folder / CA_KEY).exists():
            authority = x509.load_pem_x509_certificate((folder / CA).read_bytes())
            signer = serialization.load_pem_private_key((folder / CA_KEY).read_bytes(), None)
        else:
            signer = ec.generate_private_key(ec.SECP256R1())
            subject = named(f"sensor-gateway at {socket.gethostname()}")
            authority = (
                x509.CertificateBuilder()
                .subject_name(subject)
                .issuer_name(subject)
                .public_key(signer.public_key())
                .serial_number(x509.random_serial_number())
                .not_valid_before(start)
                .not_valid_after(start + timedelta(days=CA_DAYS))
                .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
                .add_extension(_usage(x509, sign_certificates=True), critical=True)
                .add_extension(x509.SubjectKeyIdentifier.from_public_key(signer.public_key()), critical=False)
                .sign(signer, hashes.SHA256())
            )
            _write(folder / CA, authority.public_bytes(pem), 0o644)
            # Read by whoever renews (root), never by the service.
            _write(folder / CA_KEY, signer.private_bytes(pem, pkcs8, unlocked), 0o600)
        wanted = list(dict.fromkeys(names))
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            x509.CertificateBuilder()
            .subject_name(named(wanted[0]))
            .issuer_name(authority.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + timedelta(days=days))
            .add_extension(x509.SubjectAlternativeName([general(each) for each in wanted]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(x509, sign_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()),  # type: ignore[arg-type]
                critical=False,
            )
            .sign(signer, hashes.SHA256())  # type: ignore[arg-type]
        )
        # The key first: whoever sees the new certificate finds its key.
        _write(folder / KEY, key.private_bytes(pem, pkcs8, unlocked), 0o640)
        _write(folder / CERTIFICATE, certificate.public_bytes(pem) + authority.public_bytes(pem), 0o644)
    except OSError as error:
        raise GatewayError(denied(error, folder)) from None
    except ValueError as error:
        raise GatewayError(f"{folder / CA}: {error}: move it away to make a new authority") from None
    return folder / CA


def signed_here(folder: Path) -> bool:
    """Whether the certificate in `folder` is one of the authority beside it, whose key is there too.

    Raises GatewayError where one of them cannot be read, or `cryptography` is missing.
    """
    try:
        from cryptography import x509
        from cryptography.exceptions import InvalidSignature
    except ImportError:
        raise GatewayError(_NEEDS_LIBRARY) from None
    if not (folder / CA_KEY).exists():
        return False
    try:
        authority = x509.load_pem_x509_certificate((folder / CA).read_bytes())
        certificate = x509.load_pem_x509_certificate((folder / CERTIFICATE).read_bytes())
        certificate.verify_directly_issued_by(authority)
    except OSError as error:
        raise GatewayError(denied(error, folder)) from None
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def checked(names: Sequence[str]) -> list[str]:
    """Names as they stand in a certificate: addresses, and hosts in ASCII (RFC 5890, A-labels), `*.` in front or not.

    Raises GatewayError for what is neither.
    """
    found = []
    for name in names:
        try:
            found.append(str(ip_address(name)))
            continue
        except ValueError:
            pass  # then a host
        try:
            host = name.encode("idna").decode("ascii")
        except UnicodeError:
            host = ""
        if not is_host_name(host.removeprefix("*.")):
            raise GatewayError(f'"{name}" is neither a host name nor an address')
        found.append(host)
    return found


def own_names() -> list[str]:
    """What this machine is reached by: its host name, NAME.local (mDNS), localhost, and its addresses."""
    host = socket.gethostname()
    short = host.partition(".")[0]
    names = [host, f"{short}.local", short, "localhost", "127.0.0.1", "::1", *addresses()]
    return list(dict.fromkeys(name for name in names if name))


def addresses() -> list[str]:
    """The addresses of this machine on its networks, the one towards the default route first."""
    found = []
    for family, far in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        with socket.socket(family, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
            # Nothing is sent: connecting a datagram socket only asks which address would be used (RFC 5737, 3849).
            probe.connect((far, 9))
            found.append(probe.getsockname()[0])
    with contextlib.suppress(OSError):  # a host name that nobody resolves
        found += [str(info[4][0]).partition("%")[0] for info in socket.getaddrinfo(socket.gethostname(), None)]
    with contextlib.suppress(OSError):  # no IPv6 here
        for line in Path("/proc/net/if_inet6").read_text("ascii").splitlines():
            digits, _, _, scope, *_ = line.split()
            if scope == "00":  # global
                found.append(str(ip_address(bytes.fromhex(digits))))
    found += _interface_addresses()
    return [each for each in dict.fromkeys(found) if not ip_address(each).is_loopback]


def _interface_addresses() -> list[str]:
    import fcntl
    import struct

    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for _, name in socket.if_nameindex():
            try:
                answer = fcntl.ioctl(sock, 0x8915, struct.pack("256s", name.encode()[:15]))  # SIOCGIFADDR, netdevice(7)
            except OSError:
                continue  # an interface without an IPv4 address
            found.append(socket.inet_ntoa(answer[20:24]))
    return found


def _usage(x509, *, sign_certificates: bool):  # type: ignore[no-untyped-def] # the library is loaded late
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _write(path: Path, data: bytes, mode: int) -> None:
    """It belongs to whom its folder belongs."""
    write_whole(path, data, mode, group=path.parent.stat().st_gid)
