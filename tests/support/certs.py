"""A test certificate authority, and a server certificate signed by it."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

SIGNS_CERTIFICATES = x509.KeyUsage(
    digital_signature=True,
    key_cert_sign=True,
    crl_sign=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    encipher_only=False,
    decipher_only=False,
)
DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Identity:
    """PEM files of a server's identity for `localhost` and `127.0.0.1`, and of the authority that signed it."""

    ca: Path
    cert: Path
    key: Path

    def server_context(self, *alpn: str) -> ssl.SSLContext:
        """Return the context of a TLS server that offers these application protocols."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.cert, self.key)
        if alpn:
            context.set_alpn_protocols(list(alpn))
        return context


def make_identity(folder: Path, *, expired: bool = False) -> Identity:
    """Make an authority and a server certificate in a folder; the latter expires tomorrow, or expired an hour ago."""
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca = (
        _builder("Test authority", "Test authority", ca_key)
        .add_extension(x509.BasicConstraints(True, 0), True)
        .add_extension(SIGNS_CERTIFICATES, True)
    )
    addresses = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    cert = (
        _builder("localhost", "Test authority", key, -DAY / 24 if expired else DAY)
        .add_extension(x509.SubjectAlternativeName(addresses), False)
        # Python 3.13 verifies strictly: a certificate needs an authority key identifier.
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), False)
    )
    identity = Identity(folder / "ca.pem", folder / "cert.pem", folder / "key.pem")
    identity.ca.write_bytes(ca.sign(ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    identity.cert.write_bytes(cert.sign(ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    identity.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return identity


def _builder(
    subject: str, issuer: str, key: ec.EllipticCurvePrivateKey, lasts: datetime.timedelta = DAY
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - DAY)
        .not_valid_after(now + lasts)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
