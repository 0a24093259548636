"""flufl.bounce as the last net, and a guarded one: it has cubic patterns and raises on 8-bit headers.

It sees a small mail made for it: few header fields, few short lines, none with the runs that its patterns choke on.
It is asked for recipients only; what became of them and why, others judge.
"""

from dsn_processor.parse.addresses import is_address
from dsn_processor.parse.mail import Mail
from dsn_processor.patterns import pattern
from dsn_processor.terms import Action

_LINES, _COLUMNS = 100, 160
_RUNS = 6  # of "<" or "," on a line
_NOT_ASCII = pattern(r"[^\x20-\x7e]")


def flufl_recipients(mail: Mail) -> list[tuple[str, Action]]:
    """(address, failed or delayed) of each recipient that flufl.bounce finds; its failures count as nothing found."""
    import logging  # noqa: PLC0415
    from email import message_from_string  # noqa: PLC0415

    from flufl.bounce import all_failures  # noqa: PLC0415  stays out of the way of mail that needs no net

    logging.getLogger("flufl.bounce").disabled = True  # it would print its own tracebacks
    try:
        temporary, permanent = all_failures(message_from_string(_small_copy(mail)))
    except Exception:  # noqa: BLE001  whatever it raises: the mail is not at fault
        return []
    own = mail.fields.raw("to") or ""
    found = [(address, Action.FAILED) for address in sorted(permanent)] + [
        (address, Action.DELAYED) for address in sorted(temporary - permanent)
    ]
    return [
        (text, action)
        for address, action in found
        if is_address(text := address.decode("ascii", "replace")) and text not in own
    ]


def _small_copy(mail: Mail) -> str:
    head = [f"{name.title()}: {_clean(mail.fields.raw(name) or '-')}" for name in ("from", "to", "subject")]
    if failed := mail.fields.raw("x-failed-recipients"):
        head.append(f"X-Failed-Recipients: {_clean(failed)}")
    lines = (_clean(line) for line in mail.notice.split("\n")[: _LINES * 3])
    body = [line for line in lines if line.count("<") < _RUNS and line.count(",") < _RUNS][:_LINES]
    return "\n".join([*head, "MIME-Version: 1.0", "Content-Type: text/plain", "", *body, ""])


def _clean(line: str) -> str:
    return _NOT_ASCII.sub(" ", line[:_COLUMNS])
