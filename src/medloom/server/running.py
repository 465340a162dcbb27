"""Running the server: on this machine alone unless told otherwise, with TLS built in."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from medloom.foundation.errors import InputError
from medloom.foundation.files import write_bytes
from medloom.server.app import create_app
from medloom.server.backend import Backend
from medloom.server.patience import PatientProtocol
from medloom.server.settings import ServerSettings
from medloom.site import Site

_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
_DAYS: Final = 397  # longer ones browsers refuse


@dataclass(frozen=True)
class Address:
    """Where the server listens, and how.

    Attributes:
        host: an address of this machine.
        port: a free one; 0: any.
        names: further names under which it is reached.
        certificate, key: files (PEM) for TLS.
        self_signed: make both, in the site's folder `tls/`.
        behind_tls: something in front of it speaks TLS.
        insecure: plain HTTP beyond this machine, on purpose.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    names: tuple[str, ...] = ()
    certificate: Path | None = None
    key: Path | None = None
    self_signed: bool = False
    behind_tls: bool = False
    insecure: bool = False

    @property
    def secure(self) -> bool:
        """Tell whether who calls speaks TLS."""
        return self.certificate is not None or self.self_signed or self.behind_tls


def server(site: Site, address: Address, settings: ServerSettings) -> tuple[uvicorn.Server, str]:
    """Make a server, ready to run, and the address to open in a browser.

    Raises:
        InputError: passwords would go over the network in the open, or a certificate comes without its key.
    """
    if (address.certificate is None) != (address.key is None):
        raise InputError("a certificate and its key belong together: --tls-cert FILE --tls-key FILE")
    if address.host not in _LOOPBACK and not (address.secure or address.insecure):
        raise InputError(
            "beyond this machine passwords and patients' data must not go in the open: give --tls-cert and --tls-key,"
            " or --tls-self-signed, or --behind-tls where a proxy speaks TLS (or --insecure-http, on your own risk)"
        )
    hosts = (*_LOOPBACK[:2], "[::1]", socket.gethostname().lower(), address.host.lower(), *address.names)
    settings = replace(settings, hosts=tuple(dict.fromkeys(hosts)), secure=address.secure)
    certificate, key = address.certificate, address.key
    if address.self_signed and certificate is None:
        certificate, key = self_signed(site.directory.root / "tls", settings.hosts)
    app = create_app(Backend.of(site, settings))
    config = uvicorn.Config(
        app,
        http=PatientProtocol,
        host=address.host,
        port=address.port,
        ssl_certfile=certificate,
        ssl_keyfile=key,
        log_level="warning",
        access_log=False,  # who saw what is in the audit log
        server_header=False,
        date_header=True,
        proxy_headers=False,
        timeout_keep_alive=20,
        limit_concurrency=1000,
        h11_max_incomplete_event_size=32 * 1024,
    )
    scheme = "https" if certificate is not None else "http"
    shown = "localhost" if address.host in _LOOPBACK or address.host == "0.0.0.0" else address.host
    return uvicorn.Server(config), f"{scheme}://{shown}:{address.port}/"


def self_signed(folder: Path, names: tuple[str, ...]) -> tuple[Path, Path]:
    """Make a certificate and its key (P-256), or take those made before; browsers warn of each new one once.

    Those made before are taken while they hold and are of these names.
    """
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    if certificate.is_file() and key.is_file():
        known = x509.load_pem_x509_certificate(certificate.read_bytes())
        of = known.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        lasts = known.not_valid_after_utc > datetime.now(UTC) + timedelta(days=1)
        if lasts and set(of) == {_name(one) for one in names}:
            return certificate, key
    private = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=_DAYS))
        .add_extension(x509.SubjectAlternativeName([_name(one) for one in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(private, hashes.SHA256())
    )
    write_bytes(
        key,
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
        mode=0o600,
    )
    write_bytes(certificate, made.public_bytes(serialization.Encoding.PEM))
    return certificate, key


def _name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text.strip("[]")))
    except ValueError:
        return x509.DNSName(text)
