"""STARTTLS (RFC 3207)."""

import asyncio
import os
import shutil
import ssl
import subprocess
import warnings

import pytest

from dsn_processor.errors import ConfigurationError
from dsn_processor.intake.smtp.listener import Listener
from dsn_processor.intake.smtp.options import SmtpOptions


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Options with a certificate of our own making."""
    if shutil.which("openssl") is None:
        assert not os.environ.get("DSN_PROCESSOR_TESTS_REQUIRE_SERVERS"), "openssl is not installed"
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    key, certificate = f"{folder}/key.pem", f"{folder}/certificate.pem"
    subprocess.run(
        f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
        f"-keyout {key} -out {certificate} -subj /CN=mx.example.com".split(),
        check=True,
        capture_output=True,
        timeout=60,
    )
    return {"tls_certificate": certificate, "tls_key": key}


def trusting(certificate):
    context = ssl.create_default_context(cafile=certificate["tls_certificate"])
    context.check_hostname = False
    return context


async def secure(client, certificate):
    assert (await client.told("STARTTLS")).startswith("220 2.0.0 ")
    await client.writer.start_tls(trusting(certificate))


@pytest.mark.parametrize("protocol", ["smtp", "lmtp"])
def test_a_mail_over_tls(run, serve, certificate, protocol):
    async def test():
        async with serve(lmtp=["127.0.0.1:0"], **certificate) as served:
            client = await served.connect(protocol)
            hello = "LHLO x" if protocol == "lmtp" else "EHLO x"
            assert "STARTTLS" in await client.greet(hello)
            await client.ask("MAIL FROM:<>", "RCPT TO:<a@example.com>")
            await secure(client, certificate)
            assert (await client.told("RCPT TO:<b@example.com>")).startswith("503 ")  # all is forgotten
            assert (await client.told("MAIL FROM:<>")).startswith("503 5.5.1 Say hello")
            assert "STARTTLS" not in await client.told(hello)
            assert (await client.told("STARTTLS")).startswith("503 ")
            large = b"x" * 998 + b"\r\n"
            assert (await client.mail(large * 400 + b".\r\n")).startswith("250 ")
            assert (await client.mail()).startswith("250 ")
            assert len(served.keeper.mails[0].raw) == 400_000
            assert (await client.told("QUIT")).startswith("221 ")

    run(test())


def test_what_is_said_before_tls_is_not_heard_after_it(run, serve, certificate):
    async def test():
        async with serve(**certificate) as served:
            client = await served.ready()
            client.say("STARTTLS", "EHLO evil", "MAIL FROM:<evil@example.org>", "RCPT TO:<a@example.com>")
            assert (await client.hear()).startswith("220 ")
            await client.writer.start_tls(trusting(certificate))
            assert (await client.told("NOOP")).startswith("250 2.0.0 Ok")  # nothing answers before it
            assert (await client.told("DATA")).startswith("503 5.5.1 Say hello")

    run(test())


def test_what_comes_in_later_pieces_is_no_handshake(run, serve, certificate):
    async def test():
        async with serve(**certificate) as served:
            client = await served.ready()
            assert (await client.told("STARTTLS")).startswith("220 ")
            client.say("EHLO evil", "MAIL FROM:<>", "RCPT TO:<a@example.com>", "DATA")
            assert not any("354" in answer for answer in await client.rest())
            await served.empty()

    run(test())


def test_a_handshake_that_never_comes(run, serve, certificate):
    async def test():
        async with serve(tls_handshake_timeout=0.1, **certificate) as served:
            client = await served.ready()
            assert (await client.told("STARTTLS")).startswith("220 ")
            await served.empty()
            assert (await (await served.connect()).hear()).startswith("220 ")

    run(test())


def test_a_client_that_vanishes_in_the_handshake(run, serve, certificate):
    async def test():
        async with serve(**certificate) as served:
            for octets in (b"", b"\x16\x03\x01\x02\x00\x01"):
                client = await served.ready()
                assert (await client.told("STARTTLS")).startswith("220 ")
                client.send(octets)
                await client.writer.drain()
                client.vanish()
            await served.empty()
            assert served.service.admission.open == 0

    run(test())


def test_silence_over_tls(run, serve, certificate):
    async def test():
        async with serve(command_timeout=1, **certificate) as served:
            client = await served.ready()
            await secure(client, certificate)
            assert (await client.rest())[0].startswith("421 4.4.2 ")
            await served.empty()

    run(test())


def test_tls_that_ends_in_the_middle_of_a_mail(run, serve, certificate):
    async def test():
        async with serve(**certificate) as served:
            client = await served.ready()
            await secure(client, certificate)
            await client.told("EHLO x")
            await client.address()
            client.send(b"half a mail\r\n.\r")
            await client.writer.drain()
            await client.close()
            await served.empty()
            assert not served.keeper.mails

    run(test())


def test_a_client_that_vanishes_over_tls_after_the_dot_loses_nothing(run, serve, certificate):
    async def test():
        async with serve(**certificate) as served:
            client = await served.ready()
            await secure(client, certificate)
            await client.told("EHLO x")
            await client.address()
            served.keeper.gate.clear()
            client.send(b"x\r\n.\r\n")
            await served.keeper.entered.wait()
            client.writer.transport.abort()
            await served.empty()
            served.keeper.gate.set()
            assert await served.listener.drain(10)
            assert len(served.keeper.mails) == 1

    run(test())


def test_old_tls_is_refused(run, serve, certificate):
    async def test():
        async with serve(**certificate) as served:
            client = await served.ready()
            assert (await client.told("STARTTLS")).startswith("220 ")
            context = trusting(certificate)
            with warnings.catch_warnings(action="ignore"):
                context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
            with pytest.raises((ssl.SSLError, ConnectionError, OSError)):
                await client.writer.start_tls(context)
            await served.empty()

    run(test())


def test_a_certificate_that_cannot_be_read(run, tmp_path):
    async def test():
        with pytest.raises(ConfigurationError, match="tls_certificate is a PEM file"):
            Listener(None, SmtpOptions(tls_certificate=f"{tmp_path}/none.pem"))

    run(test())


def test_a_reload_with_a_broken_certificate_keeps_the_old(run, serve, certificate, tmp_path):
    async def test():
        async with serve(**certificate) as served:
            listener = served.listener
            options = SmtpOptions(listen=("127.0.0.1:0",), tls_certificate=f"{tmp_path}/none.pem")
            with pytest.raises(ConfigurationError):
                listener.reload(options, listener._lmtp)
            client = await served.ready()
            await secure(client, certificate)
            await asyncio.sleep(0)

    run(test())
