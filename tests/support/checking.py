"""`akto-mirror check` run by a test, and misbehaving servers."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tornado.web import Application, RequestHandler

from akto_mirror.background_server import BackgroundServer

TOKEN = "eyJ.secret.token"


DAY = datetime.timedelta(days=1)


class Certificate(NamedTuple):
    """A server's TLS context and the certificate file that a client has to trust."""

    context: ssl.SSLContext
    file: Path


def make_certificate(folder: Path, *, name: str = "localhost", days: int = 30) -> Certificate:
    """Make a self-signed certificate that is valid for this many days."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    names = [x509.DNSName(name), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    end = datetime.datetime.now(datetime.UTC) + days * DAY
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number(), end - 60 * DAY, end)
        .add_extension(x509.SubjectAlternativeName(names if name == "localhost" else names[:1]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = folder / f"{name}.pem"
    file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / f"{name}.key").write_bytes(secret)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, folder / f"{name}.key")
    return Certificate(context, file)


class Outcome(NamedTuple):
    """The result of a run of `check`."""

    code: int
    out: str

    @property
    def marks(self) -> list[str]:
        """The mark of each step."""
        marks = [line.split("  ")[0].strip() for line in self.out.splitlines() if line[0] in "✓✗"]
        return [mark for mark in marks if mark != "✓ spool"]


Check = Callable[..., Outcome]


@contextmanager
def answering(status: int, body: str = '{"success":true}', **headers: str) -> Iterator[str]:
    """Run a server that gives every request the same answer; yields its URL."""

    class Same(RequestHandler):
        def prepare(self) -> None:
            self.set_status(status)
            for name, value in headers.items():
                self.set_header(name, value)
            self.finish(body)

    with BackgroundServer(Application(default_handler_class=Same, log_function=lambda _: None)) as server:
        yield server.url


@contextmanager
def talking(talk: Callable[[socket.socket, threading.Event], None]) -> Iterator[str]:
    """Run a bare TCP server that hands each connection to `talk`, with an event that is set at the end."""
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

        def serve(connection: socket.socket) -> None:
            with connection:
                try:
                    talk(connection, ended)
                except OSError:
                    return

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield "http://127.0.0.1:{}".format(*listener.getsockname()[1:])
        finally:
            ended.set()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
