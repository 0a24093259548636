import importlib
import pkgutil
import re

import pytest

import dsn_processor
from dsn_processor.patterns import _Pattern, _Uncompiled, pattern

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


@pytest.mark.parametrize("name", MODULES)
def test_no_possessive_group_may_fail_half_way(name):
    """Python before 3.11.5 does not step back to where the last repetition began: so it must look ahead first."""
    for value in vars(importlib.import_module(name)).values():
        if isinstance(value, _Pattern | re.Pattern):
            parsed = re._parser.parse(value.pattern, value.flags & ~re.UNICODE)
            assert list(_may_fail_half_way(parsed)) == [], value.pattern


def _may_fail_half_way(parsed):
    for operation, argument in parsed:
        name = str(operation)
        if name == "ATOMIC_GROUP":
            yield name
        if name == "POSSESSIVE_REPEAT":
            repeated = argument[2]
            single = len(repeated) == 1 and str(repeated[0][0]) in {"LITERAL", "NOT_LITERAL", "IN", "ANY"}
            if not single and str(repeated[0][0]) != "ASSERT":
                yield name
        for inner in _within(argument):
            yield from _may_fail_half_way(inner)


def _within(argument):
    if isinstance(argument, re._parser.SubPattern):
        yield argument
    elif isinstance(argument, list | tuple):
        for one in argument:
            yield from _within(one)


def test_a_pattern_is_used_as_a_compiled_one():
    words = pattern(r"(?P<word>[a-z]+)", re.IGNORECASE)
    assert words.pattern == r"(?P<word>[a-z]+)"
    assert type(words) is _Uncompiled
    for _ in range(2):
        assert words.search("1 Ab")["word"] == "Ab"
        assert words.match("1") is None
        assert words.fullmatch("ab")
        assert words.findall("a b") == ["a", "b"]
        assert [match[0] for match in words.finditer("a b")] == ["a", "b"]
        assert words.sub("-", "a b") == "- -"
        assert words.split("1a2") == ["1", "a", "2"]
        assert type(words) is _Pattern


def test_bytes_and_a_mistake():
    assert pattern(rb"\n").search(b"a\n")
    with pytest.raises(re.error):
        pattern("(").search("")
