"""Who may come in, and how often."""

from dsn_processor.intake.smtp.admission import Admission
from dsn_processor.intake.smtp.options import SmtpOptions


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


class Door(Admission):
    """Clients by their addresses."""

    def enter(self, client):
        place = self.place(client)
        excess = self.excess(place)
        if excess is None:
            super().enter(place)
        return excess

    def leave(self, client):
        super().leave(self.place(client))

    def mail(self, client):
        return super().mail(self.place(client))

    def crowd(self, client):
        return super().crowd(self.place(client))


def admission(**options):
    clock = Clock()
    return Door(SmtpOptions(**options), clock), clock


def test_in_all():
    door, _ = admission(max_connections=2)
    assert [door.enter(f"192.0.2.{n}") for n in range(3)] == [None, None, "total"]
    door.leave("192.0.2.0")
    assert door.enter("192.0.2.9") is None


def test_no_more_than_there_are_descriptors_for():
    door, _ = admission(max_connections=10)
    door.make_do(1)
    assert [door.enter(f"192.0.2.{n}") for n in range(2)] == [None, "total"]
    door.make_do(100)
    assert [door.enter(f"192.0.2.{n}") for n in range(10)] == [None] * 9 + ["total"]


def test_for_each_client():
    door, _ = admission(max_connections_per_ip=2)
    assert [door.enter("192.0.2.1") for _ in range(3)] == [None, None, "client"]
    assert door.enter("192.0.2.2") is None
    door.leave("192.0.2.1")
    assert door.enter("192.0.2.1") is None


def test_a_client_of_ipv6_is_its_network():
    door, _ = admission(max_connections_per_ip=2)
    assert [door.enter(f"2001:db8::{n}") for n in range(3)] == [None, None, "client"]
    assert door.enter("2001:db8:0:1::1") is None
    assert [door.enter(one) for one in ("192.0.2.1", "::ffff:192.0.2.1", "192.0.2.1")] == [
        None,
        None,
        "client",
    ]


def test_nobody_is_remembered_who_left():
    door, _ = admission()
    for n in range(1000):
        assert door.enter(f"198.51.100.{n % 200}") is None
        door.leave(f"198.51.100.{n % 200}")
    assert door.open == 0
    assert not door._open_by_place


def test_connections_a_minute():
    door, clock = admission(connections_per_minute=3)
    for _ in range(3):
        assert door.enter("192.0.2.1") is None
        door.leave("192.0.2.1")
    assert door.enter("192.0.2.1") == "rate"
    assert door.enter("192.0.2.2") is None
    clock.now = 61
    assert door.enter("192.0.2.1") is None


def test_mails_a_minute():
    door, clock = admission(mails_per_minute=2)
    assert [door.mail("2001:db8::1") for _ in range(3)] == [True, True, False]
    clock.now = 60
    assert door.mail("2001:db8::2")
    assert all(door.mail(None) for _ in range(9))


def test_this_machine_has_no_rate_but_has_a_number():
    door, _ = admission(connections_per_minute=1, mails_per_minute=1, max_connections_per_ip=2)
    for client in ("127.0.0.1", "::1"):
        assert [door.enter(client) for _ in range(3)] == [None, None, "client"]
        assert all(door.mail(client) for _ in range(5))


def test_who_is_trusted():
    door, _ = admission(
        trusted_networks=("192.0.2.0/24", "2001:db8::/32"), connections_per_minute=1, max_connections_per_ip=1
    )
    assert all(
        door.enter(client) is None for client in ("192.0.2.1", "192.0.2.1", "2001:db8::1", "2001:db8::1")
    )
    assert door.enter("198.51.100.1") is None
    assert door.enter("198.51.100.1") == "client"
    assert door.trusts("::ffff:192.0.2.7")
    assert not door.trusts(None)


def test_who_has_the_most():
    door, _ = admission(max_connections=8, trusted_networks=("192.0.2.9",))
    assert door.crowd("192.0.2.1") is None
    for client in ["192.0.2.1"] * 3 + ["192.0.2.2"] * 2 + ["192.0.2.9"] * 3:
        assert door.enter(client) is None
    assert door.enter("192.0.2.3") == "total"
    assert door.pressed
    assert door.crowd("192.0.2.3") == "192.0.2.1"
    assert door.crowd("192.0.2.9") == "192.0.2.1"  # a trusted one makes way for nobody
    assert door.crowd(None) == "192.0.2.1"
    assert door.crowd("192.0.2.2") is None  # to change places would help nobody
    assert door.crowd("192.0.2.1") is None
    door.leave("192.0.2.1")
    assert not door.pressed
