"""Where to listen, and what is said where that cannot be."""

import errno
import os
import socket

import pytest

from dsn_processor.listening import ListenAddress, cannot_listen, listen_address, open_tcp


@pytest.mark.parametrize(
    "text, address, local",
    [
        ("127.0.0.1:2525", ListenAddress("127.0.0.1", 2525), True),
        ("127.9.9.9:25", ListenAddress("127.9.9.9", 25), True),
        ("[::1]:25", ListenAddress("::1", 25), True),
        ("localhost:25", ListenAddress("localhost", 25), True),
        ("unix:/run/lmtp", ListenAddress(path="/run/lmtp"), True),
        ("*:25", ListenAddress("", 25), False),
        (":25", ListenAddress("", 25), False),
        ("0.0.0.0:25", ListenAddress("0.0.0.0", 25), False),
        ("[::]:25", ListenAddress("::", 25), False),
        ("mx.example.com:25", ListenAddress("mx.example.com", 25), False),
    ],
)
def test_where_to_listen(text, address, local):
    assert listen_address(text) == address
    assert listen_address(text).local is local


@pytest.mark.parametrize(
    "text", ["25", "host", "host:port", "::1:25", "host:70000", "unix:relative", "/run/x:1", ""]
)
def test_what_is_no_place(text):
    with pytest.raises(ValueError, match="write"):
        listen_address(text)


def test_a_path_is_told_how_it_is_written():
    with pytest.raises(ValueError, match="write unix:/run/lmtp for a unix socket"):
        listen_address("/run/lmtp")


@pytest.mark.parametrize(
    "address, text",
    [
        (ListenAddress("::1", 25), "[::1]:25"),
        (ListenAddress("", 25), "*:25"),
        (ListenAddress("127.0.0.1", 25), "127.0.0.1:25"),
        (ListenAddress(path="/run/x"), "unix:/run/x"),
    ],
)
def test_it_is_shown_as_it_is_written(address, text):
    assert str(address) == text
    assert listen_address(text) == address


def test_every_address_has_one_port():
    sockets = open_tcp(ListenAddress())
    try:
        ports = {one.getsockname()[1] for one in sockets}
        families = {one.family for one in sockets}
        assert len(ports) == 1
        with socket.create_connection(("127.0.0.1", ports.pop()), timeout=10):
            assert socket.AF_INET in families
    finally:
        for one in sockets:
            one.close()


def test_what_was_opened_is_closed_where_the_rest_fails():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            open_tcp(ListenAddress("127.0.0.1", port))


@pytest.mark.parametrize(
    "number, port, advice",
    [
        (errno.EADDRINUSE, 25, "end what listens there"),
        (errno.EACCES, 25, "CAP_NET_BIND_SERVICE"),
        (errno.EADDRNOTAVAIL, 2525, "choose another address"),
    ],
)
def test_what_to_do(number, port, advice):
    error = cannot_listen(ListenAddress("192.0.2.1", port), OSError(number, os.strerror(number)))
    assert f"192.0.2.1:{port}: {os.strerror(number)}; " in str(error)
    assert advice in str(error)
