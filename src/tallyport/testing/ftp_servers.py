"""FTP servers for tests: vsftpd, also with the strictest TLS, and pyftpdlib."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from tallyport.testing.servers import HOST, free_port, running, scratch

PASSWORD = "p1-of-the-test"


class FtpServer(NamedTuple):
    """An FTP server."""

    port: int
    username: str
    password: str
    certificate: str  # PEM; empty without TLS
    folder: str

    @property
    def settings(self) -> dict[str, object]:
        """Give a connection's settings for it."""
        found: dict[str, object] = {
            "host": HOST,
            "port": self.port,
            "username": self.username,
            "password": self.password,
            "tls": "required" if self.certificate else "none",
        }
        return {**found, "ca_certificates": self.certificate} if self.certificate else found


def certificate(folder: str, name: str = "") -> str:
    """Make a certificate for a name, or this machine's own address; gives the path of certificate and key in one file.

    The certificate alone stands beside it, with ``.crt`` behind its name.
    """
    path = os.path.join(folder, "server.pem")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name or HOST}"]
    other = f"subjectAltName={f'DNS:{name}' if name else f'IP:{HOST}'}"
    made = [*command, "-addext", other, "-keyout", path, "-out", f"{path}.crt"]
    subprocess.run(made, check=True, capture_output=True)
    with open(path, "a", encoding="ascii") as both, open(f"{path}.crt", encoding="ascii") as certificate:
        both.write(certificate.read())
    return path


@contextmanager
def pyftpdlib(*, masquerade: str = "") -> Iterator[FtpServer]:
    """Run pyftpdlib, which has MLSD, MFMT and SITE CHMOD. ``masquerade`` is the host it names for data."""
    with scratch("pyftpdlib") as folder:
        files = os.path.join(folder, "files")
        os.mkdir(files)
        port = free_port()
        command = [sys.executable, "-m", "pyftpdlib", "-i", HOST, "-p", str(port), "-w", "-d", files]
        if masquerade:
            command += ["-n", masquerade]
        with running([*command, "-u", "u", "-P", PASSWORD], port, folder):
            yield FtpServer(port, "u", PASSWORD, "", files)


_VSFTPD = """
listen=YES
listen_address=127.0.0.1
listen_port={port}
background=NO
local_enable=YES
write_enable=YES
chroot_local_user=YES
allow_writeable_chroot=YES
pasv_min_port={low}
pasv_max_port={high}
pasv_address=127.0.0.1
local_root={folder}/files
pam_service_name=vsftpd
mdtm_write=YES
seccomp_sandbox=NO
local_umask=022
secure_chroot_dir={folder}/empty
"""
_STRICT = """
ssl_enable=YES
require_ssl_reuse=YES
force_local_logins_ssl=YES
force_local_data_ssl=YES
ssl_tlsv1=YES
ssl_ciphers=HIGH
rsa_cert_file={certificate}
rsa_private_key_file={certificate}
"""


@contextmanager
def vsftpd(*, tls: bool) -> Iterator[FtpServer]:
    """Run vsftpd, which has neither MLSD nor MFMT, for an account made for it. Needs root."""
    program = shutil.which("vsftpd")
    assert program is not None
    with scratch("vsftpd") as folder, _account(folder) as user:
        for name in ("files", "empty"):
            os.mkdir(os.path.join(folder, name))
        shutil.chown(os.path.join(folder, "files"), user)
        port = free_port()
        low = free_port()
        text = _VSFTPD.format(port=port, low=low, high=min(low + 200, 65535), folder=folder)
        pem = ""
        if tls:
            path = certificate(folder)
            text += _STRICT.format(certificate=path)
            with open(f"{path}.crt", encoding="ascii") as stream:
                pem = stream.read()
        config = os.path.join(folder, "vsftpd.conf")
        with open(config, "w", encoding="ascii") as stream:
            stream.write(text)
        with running([program, config], port, folder):
            yield FtpServer(port, user, PASSWORD, pem, os.path.join(folder, "files"))


@contextmanager
def _account(folder: str) -> Iterator[str]:
    """Make an account of this machine, and take it away afterwards."""
    user = f"tally{os.getpid()}{os.urandom(2).hex()}"
    hashed = subprocess.run(
        ["openssl", "passwd", "-6", PASSWORD], check=True, capture_output=True, text=True
    ).stdout.strip()
    made = ["useradd", "--no-create-home", "--home-dir", folder, "--shell", "/bin/sh", "--password", hashed, user]
    subprocess.run(made, check=True, capture_output=True)
    try:
        yield user
    finally:
        subprocess.run(["userdel", user], check=False, capture_output=True)
