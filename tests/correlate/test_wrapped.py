import pytest

from dsn_processor.correlate.wrapped import unwrapped, verp_addresses

UNWRAPPED = [
    ("news@example.com", "news@example.com"),
    ("prvs=190694bd6d=no-reply@example.com", "no-reply@example.com"),
    ("PRVS=190694BD6D=No-Reply@example.com", "No-Reply@example.com"),
    ("prvs=4321abcdef=user+tag=x@example.com", "user+tag=x@example.com"),
    ("prvs=joe/0123ab@example.com", "joe@example.com"),
    ("btv1==190694bd6d1==no-reply@example.com", "no-reply@example.com"),
    ("msprvs1=17500abcdef12=bounces-123-456@example.com", "bounces-123-456@example.com"),
    ("SRS0=HHHH=TT=example.org=alice@forwarder.example", "alice@example.org"),
    ("srs0=hhhh=tt=example.org=alice@forwarder.example", "alice@example.org"),
    ("SRS0+HHHH=TT=example.org=alice@forwarder.example", "alice@example.org"),
    ("SRS0-HHHH=TT=example.org=alice=b@forwarder.example", "alice=b@example.org"),
    (
        "SRS1=GGGG=forwarder.example==HHHH=TT=example.org=alice@second.example",
        "alice@example.org",
    ),
    (
        "SRS1=GGGG=forwarder.example=+HHHH=TT=example.org=alice@second.example",
        "alice@example.org",
    ),
    ("SRS0=HHHH=TT=example.com=prvs=190694bd6d=no-reply@forwarder.example", "no-reply@example.com"),
    ("prvs=190694bd6d=SRS0=HHHH=TT=example.org=alice@forwarder.example", "alice@example.org"),
    ("SRS0=broken@forwarder.example", "SRS0=broken@forwarder.example"),
    ("prvs=@example.com", "prvs=@example.com"),
    ("prvs=short=x", "prvs=short=x"),
    ("", ""),
]


@pytest.mark.parametrize("address, inside", UNWRAPPED)
def test_unwrapped(address, inside):
    assert unwrapped(address) == inside


def test_wrapping_without_end_is_taken_off_in_bounded_time():
    assert unwrapped("prvs=190694bd6d=" * 50 + "a@example.com").endswith("a@example.com")
    for long in ("prvs=190694bd6d=" * 50_000, "a-" * 50_000, "a=" * 50_000, "a+" * 50_000, "1-" * 50_000):
        assert unwrapped(f"{long}a@example.com").endswith("a@example.com")
        assert verp_addresses(f"{long}=example.net@example.com") == ()
    assert len(verp_addresses("b+" + "a-" * 20 + "u=example.net@example.com")) <= 8


VERP = [
    ("bounces+user=example.net@lists.example.com", "user@example.net"),
    ("BOUNCES+User=Example.NET@lists.example.com", "User@Example.NET"),
    ("list-bounces+ann-marie=example.net@lists.example.com", "ann-marie@example.net"),
    ("bounces+user+tag=example.net@lists.example.com", "user+tag@example.net"),
    ("owner-list+user=mail.example.net@lists.example.com", "user@mail.example.net"),
    ("bounces+123-4567-user=example.net@em.example.com", "user@example.net"),
    ("bounces+123-0a1b-user=example.net@em.example.com", "user@example.net"),
    ("owner-list-user=example.net@lists.example.com", "list-user@example.net"),
    ("bounce-user=example.net@lists.example.com", "user@example.net"),
    ("list-return-123-user=example.net@lists.example.com", "user@example.net"),
    ("list-return-123-ann-marie=example.net@lists.example.com", "ann-marie@example.net"),
    ("some-list-return-5-a=b=example.net@lists.example.com", "a=b@example.net"),
    ("list-return-warn-1161000000.abcdefgh-user=example.net@lists.example.com", "user@example.net"),
    ("bounce+user==a==example.net==list@lists.example.com", "user@example.net"),
    ("bounce+user==a==example.net@lists.example.com", "user@example.net"),
    ("bounce-user_at_example.net@lists.example.com", "user@example.net"),
    ("bounce+user--at--example.net@lists.example.com", "user@example.net"),
    ("bounce+user=at=example.net@lists.example.com", "user@example.net"),
    ("prvs=190694bd6d=bounces+user=example.net@lists.example.com", "user@example.net"),
    ("SRS0=HHHH=TT=lists.example.com=bounces+user=example.net@forwarder.example", "user@example.net"),
]


@pytest.mark.parametrize("address, likeliest", VERP)
def test_verp(address, likeliest):
    assert verp_addresses(address)[0] == likeliest


@pytest.mark.parametrize(
    "address",
    [
        "bounces@example.com",
        "bounces+123@example.com",
        "list-return-123@example.com",
        "user=example.net@example.com",
        "bounces+user=localhost@example.com",
        "bounces+=example.net@example.com",
        "b-t1afiuqnoxmy3jd7443maaaaaaaaaaaaaah5mp6mnqad2sdki5@example.com",
        "prvs=190694bd6d=no-reply@example.com",
        "SRS0=HHHH=TT=example.org=alice@forwarder.example",
        "bounces+a b=example.net@example.com",
        "",
    ],
)
def test_no_verp(address):
    assert verp_addresses(address) == ()


def test_where_a_prefix_may_end_in_several_places_all_are_told():
    assert verp_addresses("owner-list-user=example.net@example.com") == (
        "list-user@example.net",
        "user@example.net",
    )
