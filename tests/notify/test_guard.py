"""No request reaches what it must not: looked at as text, as addresses, and by a trap on loopback."""

import asyncio
import os
import shutil
import ssl
import subprocess

import httpx
import pytest
from notify.sink import Reply, Sink

from dsn_processor.notify.attempts import Due
from dsn_processor.notify.endpoints import Endpoint, EndpointKind
from dsn_processor.notify.guard import RefusedUrlError, check_addresses, check_url
from dsn_processor.notify.options import WebhookOptions
from dsn_processor.notify.sending import BODY_LIMIT, Sender
from dsn_processor.notify.signing import new_secret
from dsn_processor.notify.transport import client, resolve

OPEN = WebhookOptions(allow_http=True)
#: Ways to write this machine, its network, or a cloud's metadata. {port} is the trap's.
FORMS = [
    "http://127.0.0.1:{port}/",
    "http://127.1:{port}/",
    "http://0x7f.1:{port}/",
    "http://0x7f000001:{port}/",
    "http://2130706433:{port}/",
    "http://0177.0.0.1:{port}/",
    "http://0:{port}/",
    "http://0.0.0.0:{port}/",
    "http://localhost:{port}/",
    "http://app.localhost:{port}/",
    "http://localhost.:{port}/",
    "http://[::1]:{port}/",
    "http://[::]:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://[::ffff:7f00:1]:{port}/",
    "http://[::127.0.0.1]:{port}/",
    "http://[64:ff9b::127.0.0.1]:{port}/",
    "http://[64:ff9b::a9fe:a9fe]:{port}/",
    "http://[2002:7f00:1::]:{port}/",
    "http://[2001:0:4136:e378:8000:63bf:80ff:fffe]:{port}/",
    "http://[fe80::1%25lo]:{port}/",
    "http://[fd00:ec2::254]:{port}/",
    "http://169.254.169.254:{port}/latest/meta-data/",
    "http://168.63.129.16:{port}/",
    "http://100.100.100.200:{port}/",
    "http://10.0.0.1:{port}/",
    "http://192.168.1.1:{port}/",
    "http://224.0.0.1:{port}/",
    "http://user@127.0.0.1:{port}/",
    "http://hook.example.com@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}\\@hook.example.com/",
    "http://127.0.0.1:{port}#@hook.example.com/",
    "http://１２７.0.0.1:{port}/",
    "http://①②⑦.⓪.⓪.①:{port}/",
    "http://127。0。0。1:{port}/",
    "http://%31%32%37.0.0.1:{port}/",
    "http://127.0.0.1%00.example.com:{port}/",
    "http://hook.example.com:{port}\r\nX: y/",
    "ftp://127.0.0.1:{port}/",
    "gopher://127.0.0.1:{port}/",
    "file:///etc/passwd",
    "//127.0.0.1:{port}/",
    "http:///",
]


def endpoint(url):
    return Endpoint(id=1, name="x", kind=EndpointKind.WEBHOOK, url=url, format="own", secret=new_secret())


DUE = Due(1, 1, "msg_1", "webhook.test", "", 0, b"{}", "application/json", {})


def attempt(url, options, resolve=resolve):
    """What one attempt came to."""

    async def run():
        async with client(lambda: options, resolve) as http:
            return await Sender(http, lambda: options).send(endpoint(url), DUE)

    return run()


@pytest.mark.parametrize("form", FORMS)
def test_no_form_of_url_reaches_the_trap(form):
    async def run():
        async with Sink() as trap:
            options = WebhookOptions(allow_http=True, ports=(str(trap.port), "80", "443"), timeout=60.0)
            answer = await attempt(form.format(port=trap.port), options)
            return answer, trap

    answer, trap = asyncio.run(run())
    assert trap.connections == 0
    assert answer.status is None
    assert answer.error.startswith("refused: ")


def test_the_trap_is_reached_where_that_is_allowed():
    async def run():
        async with Sink() as sink:
            options = WebhookOptions(
                allow_http=True, ports=(str(sink.port),), allow_networks=("127.0.0.1/32",)
            )
            return await attempt(sink.url, options), sink

    answer, sink = asyncio.run(run())
    assert (answer.status, len(sink.got)) == (200, 1)


@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1"], ["::1"], ["1.1.1.1", "10.0.0.1"], ["2606:4700::1111", "fe80::1%eth0"], [], ["x"]],
)
def test_a_name_that_leads_inside_is_refused(addresses):
    async def resolves(host, port):
        assert host == "hook.example.com"
        return addresses

    answer = asyncio.run(attempt("https://hook.example.com/", WebhookOptions(), resolves))
    assert answer.status is None
    assert answer.error.startswith("refused: ")


def test_a_resolver_that_says_another_thing_the_second_time_is_not_asked_twice():
    async def run():
        async with Sink() as trap, Sink() as good:
            # One name, one port: the good receiver is at 127.0.0.2, the trap at 127.0.0.1.
            server = await asyncio.start_server(good._serve, "127.0.0.2", trap.port)
            options = WebhookOptions(
                allow_http=True, ports=(str(trap.port),), allow_networks=("127.0.0.2/32",)
            )
            asked = []

            async def rebinding(host, port):
                asked.append(host)
                return ["127.0.0.2"] if len(asked) == 1 else ["127.0.0.1"]

            url = f"http://hook.example.com:{trap.port}/"
            first = await attempt(url, options, rebinding)
            times = len(asked)
            second = await attempt(url, options, rebinding)
            server.close()
            return first, times, second, trap, good

    first, times, second, trap, good = asyncio.run(run())
    assert (first.status, times) == (200, 1)
    assert good.got[0].headers["host"].startswith("hook.example.com")
    assert second.error.startswith("refused: 127.0.0.1")
    assert trap.connections == 0


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(status):
    async def run():
        async with Sink() as trap, Sink() as sink:

            async def away(_):
                return Reply(status, {"Location": f"http://127.0.0.1:{trap.port}/"})

            sink.answer = away
            options = WebhookOptions(
                allow_http=True, ports=(str(sink.port), str(trap.port)), allow_networks=("127.0.0.0/8",)
            )
            return await attempt(sink.url, options), trap

    answer, trap = asyncio.run(run())
    assert (answer.status, answer.error) == (status, "redirects are not followed")
    assert trap.connections == 0


def test_proxies_of_the_environment_are_not_asked(monkeypatch):
    async def run():
        async with Sink() as proxy, Sink() as sink:
            for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
                monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
            options = WebhookOptions(
                allow_http=True, ports=(str(sink.port),), allow_networks=("127.0.0.0/8",)
            )
            return await attempt(sink.url, options), proxy

    answer, proxy = asyncio.run(run())
    assert answer.status == 200
    assert proxy.connections == 0


@pytest.mark.parametrize("status", [200, 500])
def test_an_endless_answer_is_read_to_its_bound(status):
    async def endless(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 %d X\r\nTransfer-Encoding: chunked\r\n\r\n" % status)
        sent = 0
        try:
            while sent < 50_000_000:
                writer.write(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
                sent += 0x4000
                await writer.drain()
        except ConnectionError:
            pass
        counts.append(sent)
        writer.close()

    counts = []

    async def run():
        server = await asyncio.start_server(endless, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        options = WebhookOptions(allow_http=True, ports=(str(port),), allow_networks=("127.0.0.0/8",))
        answer = await attempt(f"http://127.0.0.1:{port}/", options)
        while not counts:
            await asyncio.sleep(0.01)
        server.close()
        return answer

    answer = asyncio.run(run())
    assert answer.status == status
    assert len(answer.error) <= 200
    assert counts[0] < 20_000_000 > BODY_LIMIT  # what the kernel's buffers hold, too


@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 200 O", b"HTTP/1.1 200 OK\r\nX: "])
def test_who_does_not_answer_in_time_is_given_up(begun):
    async def slow(reader, writer):
        writer.write(begun)
        try:
            while True:  # a letter now and then, so that no time-out of one read ever comes
                await asyncio.sleep(0.1)
                if begun:
                    writer.write(b"x")
                await writer.drain()
        except (ConnectionError, asyncio.CancelledError):
            writer.close()

    async def run():
        server = await asyncio.start_server(slow, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        options = WebhookOptions(
            allow_http=True, ports=(str(port),), allow_networks=("127.0.0.0/8",), timeout=1.0
        )
        answer = await attempt(f"http://127.0.0.1:{port}/", options)
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        return answer

    assert asyncio.run(run()).error == "no answer within 1 s"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Of hook.example.com, by nobody that is trusted."""
    if shutil.which("openssl") is None:
        assert not os.environ.get("DSN_PROCESSOR_TESTS_REQUIRE_SERVERS"), "openssl is not installed"
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=hook.example.com "
        f"-addext subjectAltName=DNS:hook.example.com -keyout {folder}/key.pem -out {folder}/cert.pem".split(),
        check=True,
        capture_output=True,
    )
    return folder


@pytest.mark.parametrize(
    ("host", "trusted", "status"),
    [("hook.example.com", True, 200), ("hook.example.com", False, None), ("other.example.com", True, None)],
)
def test_certificates_are_verified_by_the_name_that_was_asked_for(
    certificate, monkeypatch, host, trusted, status
):
    names = []

    async def resolves(*_):
        return ["127.0.0.1"]

    async def run():
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
        context.sni_callback = lambda _, name, __: names.append(name)
        async with Sink() as sink:
            server = await asyncio.start_server(sink._serve, "127.0.0.1", 0, ssl=context)
            port = server.sockets[0].getsockname()[1]
            options = WebhookOptions(ports=(str(port),), allow_networks=("127.0.0.0/8",))
            answer = await attempt(f"https://{host}:{port}/", options, resolves)
            server.close()
            return answer, sink

    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate / "cert.pem"))
    answer, sink = asyncio.run(run())
    assert answer.status == status
    assert names == [host]
    assert len(sink.got) == (1 if status else 0)
    if not status:
        assert "certificate verify failed" in answer.error.lower()


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://hook.example.com/", "allow_http"),
        ("https://hook.example.com:22/", "port 22"),
        ("https://hook.example.com/#x", "fragment"),
        ("https://u:p@hook.example.com/", "password"),
        ("https://hook.example.com:99999/", "port 99999"),
        ("https://hook..example.com/", "no"),
        ("https:// hook.example.com/", "spaces"),
        ("https://hook.example.com/" + "x" * 2_000, "2,000"),
        ("mailto:a@example.com", "https"),
        ("", "https"),
    ],
)
def test_what_is_wrong_with_a_url_is_told(url, why):
    with pytest.raises(RefusedUrlError, match=why):
        check_url(url, WebhookOptions())


@pytest.mark.parametrize(
    "url",
    [
        "https://hook.example.com/a?b=c",
        "https://münchen.example/",
        "https://1.1.1.1:8443/",
        "https://[2606:4700::1111]/",
    ],
)
def test_what_is_right_is_let_through(url):
    assert isinstance(check_url(url, WebhookOptions()), httpx.URL)


@pytest.mark.parametrize(
    ("network", "address"),
    [("10.1.0.0/16", "10.1.2.3"), ("10.1.0.0/16", "::ffff:10.1.2.3"), ("fd00:1::/64", "fd00:1::5")],
)
def test_listed_networks_are_allowed_and_nothing_beside_them(network, address):
    check_addresses([address], WebhookOptions(allow_networks=(network,)))
    with pytest.raises(RefusedUrlError):
        check_addresses([address, "10.2.0.1"], WebhookOptions(allow_networks=(network,)))


@pytest.mark.parametrize(
    "wrong",
    [
        {"ports": ()},
        {"ports": ("0",)},
        {"ports": ("x",)},
        {"allow_networks": ("10.0.0.1/8",)},
        {"timeout": 0.0},
        {"concurrency": 0},
    ],
)
def test_options_that_make_no_sense_are_told(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        WebhookOptions(**wrong)
