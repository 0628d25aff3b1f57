# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Certificates for a cluster: an authority of its own, and one each for daemon, scheduler and workers."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

ROLES = ("daemon", "scheduler", "worker")
VALID = dt.timedelta(days=10 * 365)

Key = ec.EllipticCurvePrivateKey


def make_certificates(directory: Path, now: dt.datetime) -> list[Path]:
    """Write ``ca.pem`` and, for each role, ``ROLE.pem`` and ``ROLE-key.pem``; the authority's key is not kept.

    Whoever has one of these certificates may run code on the workers.

    Raises
    ------
    FileExistsError
        When there is one of these files already.
    OSError
    """
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    files = [directory / "ca.pem", *(directory / f"{role}{end}.pem" for role in ROLES for end in ("", "-key"))]
    if present := next((file for file in files if file.exists()), None):
        raise FileExistsError(17, "is there already", str(present))
    authority = ec.generate_private_key(ec.SECP256R1())
    name = _named("AutoFlow cluster")
    root = (
        _started(name, name, authority, now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority.public_key()), critical=False)
        .sign(authority, hashes.SHA256())
    )
    _write(directory / "ca.pem", root.public_bytes(serialization.Encoding.PEM), 0o644)
    for role in ROLES:
        key = ec.generate_private_key(ec.SECP256R1())
        issued = (
            _started(_named(f"AutoFlow {role}"), name, key, now)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), critical=False)
            .sign(authority, hashes.SHA256())
        )
        _write(directory / f"{role}.pem", issued.public_bytes(serialization.Encoding.PEM), 0o644)
        _write(directory / f"{role}-key.pem", _private(key), 0o600)
    return files


def _named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _started(subject: x509.Name, issuer: x509.Name, key: Key, now: dt.datetime) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # clocks of machines differ
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + VALID)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _private(key: Key) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(path: Path, content: bytes, mode: int) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
