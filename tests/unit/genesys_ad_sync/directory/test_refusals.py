"""Certificates and logins that are refused: a cause is named only where it is known."""

import datetime
import ipaddress
import socket
import ssl
import threading
from contextlib import ExitStack, contextmanager, suppress

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from genesys_ad_sync.directory.connection import LdapSettings, Transport, connect
from genesys_ad_sync.directory.refusals import bind_refusal, certificate_problem
from genesys_ad_sync.errors import DirectoryBindError, DirectoryCertificateError, DirectoryUnreachable
from tests.support.ldap_listener import accept_login, listening

NOW = datetime.datetime.now(datetime.timezone.utc)
DAY = datetime.timedelta(days=1)


class Issued:
    """A certificate and its key."""

    def __init__(self, name, *, by=None, start=-DAY, end=DAY, ca=False):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer = by or self
        builder = (
            x509.CertificateBuilder()
            .subject_name(self.name)
            .issuer_name(issuer.name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW + start)
            .not_valid_after(NOW + end)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()), critical=False)
            .add_extension(
                x509.KeyUsage(
                    digital_signature=True,
                    key_cert_sign=ca,
                    crl_sign=ca,
                    content_commitment=False,
                    key_encipherment=False,
                    data_encipherment=False,
                    key_agreement=False,
                    encipher_only=False,
                    decipher_only=False,
                ),
                critical=True,
            )
        )
        if not ca:
            address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name), address]), critical=False)
        self.certificate = builder.sign(issuer.key, hashes.SHA256())

    def pem(self):
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def write(self, folder):
        path = folder / f"{id(self)}.pem"
        key = self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path.write_bytes(self.pem().encode() + key)
        return path


@contextmanager
def tls_server(path):
    """Speak TLS with this certificate and nothing else; yield the port."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(path)

    def serve(listener):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with suppress(OSError), context.wrap_socket(client, server_side=True) as secure:
                secure.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        yield listener.getsockname()[1]


def refused(port, **more):
    settings = LdapSettings(("127.0.0.1",), "svc@t", "s3cret-word", port=port, receive_timeout=5, **more)
    with pytest.raises(DirectoryCertificateError) as error:
        connect(settings)
    return str(error.value)


CA = Issued("Our CA", ca=True)


@pytest.mark.parametrize(
    ("server", "said"),
    [
        (Issued("dc1.t", by=CA, start=-2 * DAY, end=-DAY), "Have it renewed"),
        (Issued("dc1.t", by=CA, start=DAY, end=2 * DAY), "Compare the clocks"),
        (Issued("dc1.t", by=Issued("Other", ca=True)), "authority that signed it"),
        (Issued("dc1.t"), "self-signed"),
    ],
    ids=["expired", "not yet valid", "unknown authority", "self-signed"],
)
def test_the_text_follows_what_openssl_says(tmp_path, server, said):
    causes = ("Have it renewed", "Compare the clocks", "authority that signed it", "self-signed", "server_name")
    (tmp_path / "ca.pem").write_text(CA.pem())
    with tls_server(server.write(tmp_path)) as port:
        text = refused(port, ca_certs_file=str(tmp_path / "ca.pem"))
    assert said in text
    assert len([cause for cause in causes if cause in text]) == 1, "no other cause is named"


def test_an_expired_authority_is_no_unknown_one(tmp_path):
    old = Issued("Old CA", ca=True, start=-2 * DAY, end=-DAY)
    with tls_server(Issued("dc1.t", by=old).write(tmp_path)) as port:
        text = refused(port, ca_certs=old.pem())
    assert "has expired" in text
    assert "must hold" not in text


def test_the_authority_as_text_is_as_good_as_a_file(tmp_path):
    with tls_server(Issued("dc1.t", by=CA).write(tmp_path)) as port:
        settings = LdapSettings(("127.0.0.1",), "svc@t", "x", port=port, receive_timeout=5, ca_certs=CA.pem())
        with pytest.raises(DirectoryUnreachable):  # the certificate is fine, but nobody answers the login
            connect(settings)
        assert "server_name" in refused(port, ca_certs=CA.pem(), server_name="dc9.t")
        assert "must hold" in refused(port, ca_certs=Issued("Other", ca=True).pem())


def test_a_reason_without_a_known_remedy_has_none():
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code, error.verify_message = 85, "Missing Authority Key Identifier"
    text = certificate_problem(error, "`ca_certs`")
    assert text == "the certificate does not verify: Missing Authority Key Identifier (code 85)."


# -- logins -------------------------------------------------------------------------------------------


def login(*answers):
    """Log in at one listener after the other; return the error and how many were asked."""
    hosts, opened = [], []
    with ExitStack() as stack:
        for code, message in answers:
            listener = stack.enter_context(
                listening(lambda request, c=code, m=message: accept_login(request, c, m.encode()))
            )
            opened.append(listener)
            hosts.append(f"127.0.0.1:{listener.port}")
        settings = LdapSettings(tuple(hosts), "svc@t", "s3cret-word", transport=Transport.PLAIN, receive_timeout=5)
        try:
            connect(settings).close()
            error = None
        except (DirectoryBindError, DirectoryUnreachable) as refusal:
            error = refusal
        return error, sum(1 for listener in opened if listener.received)


def data(number):
    return f"80090308: LdapErr: DSID-0C09, comment: AcceptSecurityContext error, data {number}, v1db1"


@pytest.mark.parametrize(
    ("number", "said"),
    [("52e", "login or password is wrong"), ("775", "locked out"), ("533", "disabled"), ("569", "over the network")],
)
def test_a_refused_login_ends_at_the_first_domain_controller(number, said):
    error, asked = login((49, data(number)), (0, ""))
    assert isinstance(error, DirectoryBindError)
    assert said in str(error)
    assert "s3cret-word" not in str(error)
    assert asked == 1, "a second try would count towards locking the account"


@pytest.mark.parametrize("number", ["52f", "530", "531", "532", "533", "568", "569", "701", "773", "775"])
def test_a_login_that_is_right_is_not_sent_to_be_checked(number):
    """Another password would not help, and trying one counts towards locking the account."""
    text = bind_refusal(49, "invalidCredentials", data(number), Transport.LDAPS).text
    assert "Check login and password" not in text
    assert text.endswith(".")


@pytest.mark.parametrize("number", ["525", "52e", "8c1"])
def test_a_login_that_may_be_wrong_is(number):
    text = bind_refusal(49, "invalidCredentials", data(number), Transport.LDAPS).text
    assert "Check login and password of the connection." in text


@pytest.mark.parametrize("message", [data("8c1"), "something new", ""])
def test_an_unknown_reason_is_shown_and_not_guessed_away(message):
    error, asked = login((49, message), (0, ""))
    assert isinstance(error, DirectoryBindError)
    assert "a guess" in str(error)
    assert "code 49" in str(error)
    assert ("data 8c1" in str(error)) == ("8c1" in message)
    assert asked == 1


@pytest.mark.parametrize(
    ("code", "message"), [(49, data("51f")), (51, ""), (52, ""), (53, ""), (1, data("0")), (80, "")]
)
def test_a_domain_controller_that_checked_no_password_is_skipped(code, message):
    error, asked = login((code, message), (0, ""))
    assert (error, asked) == (None, 2)
    error, asked = login((code, message))
    assert isinstance(error, DirectoryUnreachable)
    assert f"code {code}" in str(error)
    assert "firewall" not in str(error), "it was reached"
