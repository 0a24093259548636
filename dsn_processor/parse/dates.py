"""Dates of mail (RFC 5322 section 3.3) to ISO 8601, without the quadratic and raising paths of the stock parser."""

import re
from functools import lru_cache

from dsn_processor.parse.fields import unfold
from dsn_processor.patterns import pattern

_MONTHS = {
    m: n
    for n, m in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), 1
    )
}
_DAYS = (0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_ZONES = {"EST": -300, "EDT": -240, "CST": -360, "CDT": -300, "MST": -420, "MDT": -360, "PST": -480, "PDT": -420,
          "CET": 60, "MET": 60, "CEST": 120, "MEST": 120, "BST": 60, "EET": 120, "EEST": 180, "MSK": 180, "JST": 540}  # fmt: skip
# What nearly all write: a day and a zone, which many dates share and which are looked at apart, around the time of day.
_USUAL = pattern(r"([^:]+) ([0-2]\d:[0-5]\d:[0-5]\d) (.+)", re.DOTALL)
_USUAL_DAY = pattern(r"(?:[A-Za-z]{3}, {1,2})?(0?[1-9]|[12]\d|3[01]) ([A-Z][a-z]{2}) ([12]\d{3})\Z")
_USUAL_ZONE = pattern(r"([+-](?:0\d|1[0-4])[0-5]\d|GMT)(?: \([A-Za-z]{1,5}\))?\Z")
_DATE = pattern(
    r"(\d{1,2})[ \t-]{1,5}([A-Za-z]{3})[A-Za-z.]{0,9}[ \t-]{1,5}(\d{4}|\d{2})[ \t,]{1,5}(\d{1,2})[:.](\d{2})(?:[:.](\d{2}))?"
    r"(?:[ \t]{0,5}([+-])(\d{2}):?(\d{2})|[ \t]{1,5}([A-Z]{1,5})\b)?"
)
# asctime: "Sat Nov 21 02:40:30 2026"
_ASCTIME = pattern(
    r"([A-Za-z]{3})[ \t]{1,3}(\d{1,2})[ \t]{1,3}(\d{1,2}):(\d{2}):(\d{2})[ \t]{1,3}(?:([A-Z]{3,5})[ \t]{1,3})?(\d{4})(?:[ \t]{1,3}([+-])(\d{2})(\d{2}))?"
)
_ISO = pattern(
    r"(\d{4})-(\d{2})-(\d{2})[T ](\d{2}):(\d{2})(?::(\d{2}))?(?:\.\d{1,9})?[ \t]?(?:(Z)|([+-])(\d{2}):?(\d{2}))?"
)


def iso_date(text: str | None) -> str | None:
    """``Sat, 21 Nov 2026 02:40:30 +0100`` -> ``2026-11-21T02:40:30+01:00``; None if no date can be read. It may be folded."""
    if not text:
        return None
    if match := _USUAL.match(text):
        day, clock, zone = match.groups()
        if clock < "24" and (date := _usual_day(day)) and (offset := _usual_zone(zone)):
            return f"{date}T{clock}{offset}"
    text = unfold(text)[:200]
    try:
        if match := _DATE.search(text):
            day, month, year, hour, minute, second, sign, zone_h, zone_m, zone = match.groups()
            return _format(
                year, _MONTHS[month.lower()], day, hour, minute, second, _offset(sign, zone_h, zone_m, zone)
            )
        if match := _ISO.search(text):
            year, digits, day, hour, minute, second, _, sign, zone_h, zone_m = match.groups()
            return _format(year, int(digits), day, hour, minute, second, _offset(sign, zone_h, zone_m, None))
        if match := _ASCTIME.search(text):
            month, day, hour, minute, second, zone, year, sign, zone_h, zone_m = match.groups()
            return _format(
                year, _MONTHS[month.lower()], day, hour, minute, second, _offset(sign, zone_h, zone_m, zone)
            )
    except (ValueError, KeyError, IndexError):
        pass  # a month 13, a 30 February: no date
    return None


@lru_cache(maxsize=1024)
def _usual_day(text: str) -> str | None:
    """``Sun, 1 Nov 2026`` -> ``2026-11-01``; None where it is written otherwise, or there is no such day."""
    if not (match := _USUAL_DAY.match(text)):
        return None
    day, name, year = match.groups()
    month = _MONTHS.get(name.lower())
    if month is None or int(day) > _days(month, int(year)):
        return None
    return f"{year}-{month:02}-{day:0>2}"


@lru_cache(maxsize=64)
def _usual_zone(text: str) -> str | None:
    """``+0100 (CET)`` -> ``+01:00``; None where it is written otherwise."""
    if not (match := _USUAL_ZONE.match(text)):
        return None
    zone = match[1]
    return "+00:00" if zone in {"GMT", "-0000"} else f"{zone[:3]}:{zone[3:]}"


def _offset(sign: str | None, hours: str | None, minutes: str | None, name: str | None) -> int:
    if sign and hours and minutes:
        offset = int(hours) * 60 + int(minutes)
        return -offset if sign == "-" else offset
    return _ZONES.get(name or "", 0)


def _days(month: int, year: int) -> int:
    return 28 if month == 2 and (year % 4 or (year % 100 == 0 and year % 400)) else _DAYS[month]


def _format(year: str, month: int, day: str, hour: str, minute: str, second: str | None, offset: int) -> str:
    full_year = int(year)
    if full_year < 100:  # RFC 5322 section 4.3
        full_year += 2000 if full_year < 50 else 1900
    seconds = min(int(second or 0), 59)  # a leap second
    if not (
        1 <= int(day) <= _days(month, full_year)
        and int(hour) < 24
        and int(minute) < 60
        and abs(offset) < 1440
        and full_year
    ):
        raise ValueError(year)
    sign, zone = "-" if offset < 0 else "+", abs(offset)
    return f"{full_year:04}-{month:02}-{int(day):02}T{int(hour):02}:{minute}:{seconds:02}{sign}{zone // 60:02}:{zone % 60:02}"
