import importlib
import pkgutil
import re

import pytest

import dsn_processor
from dsn_processor.patterns import _Pattern, pattern

MODULES = [
    module.name
    for module in pkgutil.walk_packages(dsn_processor.__path__, "dsn_processor.")
    if "migrations" not in module.name and not module.name.endswith("__main__")
]


@pytest.mark.parametrize("name", MODULES)
def test_every_pattern_can_be_compiled(name):
    """Put off to the first use, a mistake would be found by a mail."""
    for value in vars(importlib.import_module(name)).values():
        if isinstance(value, _Pattern):
            re.compile(value.pattern, value.flags)


def test_a_pattern_is_used_as_a_compiled_one():
    words = pattern(r"(?P<word>[a-z]+)", re.IGNORECASE)
    assert words.pattern == r"(?P<word>[a-z]+)"
    assert "search" not in vars(words)
    for _ in range(2):
        assert words.search("1 Ab")["word"] == "Ab"
        assert words.match("1") is None
        assert words.fullmatch("ab")
        assert words.findall("a b") == ["a", "b"]
        assert [match[0] for match in words.finditer("a b")] == ["a", "b"]
        assert words.sub("-", "a b") == "- -"
        assert words.split("1a2") == ["1", "a", "2"]
    assert words.groupindex == {"word": 1}


def test_bytes_and_a_mistake():
    assert pattern(rb"\n").search(b"a\n")
    with pytest.raises(re.error):
        pattern("(").search("")
