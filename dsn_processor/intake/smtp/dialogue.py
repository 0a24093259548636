"""What is said before and between mails: every command but DATA and STARTTLS, which session.py has."""

from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

from dsn_processor.intake.smtp.address import (
    Argument,
    ParameterError,
    PathError,
    mail_argument,
    rcpt_argument,
)
from dsn_processor.intake.smtp.options import SmtpOptions
from dsn_processor.intake.smtp.service import Service, log
from dsn_processor.metrics import Refused

_TEXT_SHOWN = 200  # characters of somebody else's words in a log line
_BODIES = frozenset({"7BIT", "8BITMIME"})
#: Delivery status notifications (RFC 3461) are not on offer, since nothing is ever sent from here; who asks all the same
#: is not refused for it.
_IGNORED = frozenset({"RET", "ENVID", "NOTIFY", "ORCPT"})


class Dialogue(SMTP):
    """The answers to commands: one each, with a code of RFC 3463.

    What a peer does wrong counts as an error, what does nothing as junk. A mail that was taken wipes both out: a relay
    with much mail is wrong about some of it. ``client`` is the peer's address, None over a unix socket; ``place`` is
    what it is counted as (Admission).
    """

    service: Service
    options: SmtpOptions
    session: Session  # there from the connection on
    envelope: Envelope
    transport: Any
    client: str | None = None
    place: str | None = None
    _answers: list[str]
    _errors = 0
    _junk = 0

    # ---- answers

    def reply(self, text: str) -> None:
        """Answer, with what else is answered before the next wait (RFC 2920 section 3.2): to send is what costs most."""
        self._answers.append(text)

    def flush(self) -> None:
        """Send the answers. To be done before any wait for the peer."""
        if self._answers:
            if self.transport is not None:
                self.transport.write("\r\n".join([*self._answers, ""]).encode())
            self._answers.clear()

    def forget(self) -> None:
        """Begin with a new envelope (RFC 5321 section 4.1.1.5)."""
        self.envelope = Envelope()

    def wrong(self, text: str, cause: Refused = Refused.PROTOCOL) -> None:
        """Say what the peer did wrong; one that is wrong too often has to come again."""
        self._errors += 1
        self.service.refused(cause)
        if self._errors >= self.options.max_errors:
            self.part("421 4.7.0 Too many errors, come again later", Refused.JUNK)
        else:
            self.reply(text)

    def idle(self, text: str) -> None:
        """Answer a command that does nothing, some times."""
        self._junk += 1
        if self._junk >= self.options.max_junk:
            self.part("421 4.7.0 Too many commands without a mail, come again later", Refused.JUNK)
        else:
            self.reply(text)

    def forgive(self) -> None:
        self._errors = self._junk = 0

    def part(self, text: str, cause: Refused | None) -> None:
        """Say a last word and close."""
        raise NotImplementedError

    def told(self, event: str, cause: Refused, **more: object) -> None:
        """One line in the log about something refused."""
        log.info(
            event,
            room=self.service.name,
            listener=self.service.name,
            client=self.client,
            helo=self.session.host_name,
            sender=self.envelope.mail_from,
            cause=cause.value,
            **more,
        )

    # ---- commands

    async def smtp_HELO(self, hostname: str | None) -> None:
        if not hostname:
            self.wrong("501 5.5.4 Say HELO and your name")
            return
        self._meet(hostname, f"250 {self.service.hostname}")

    async def smtp_EHLO(self, hostname: str | None) -> None:
        if not hostname:
            self.wrong("501 5.5.4 Say your name, too")
            return
        lines = [
            self.service.hostname,
            f"SIZE {self.options.size_maximum}",
            "8BITMIME",
            "SMTPUTF8",
            "PIPELINING",
            "ENHANCEDSTATUSCODES",
        ]
        if self.service.tls is not None and self.session.ssl is None:
            lines.append("STARTTLS")
        self._meet(hostname, "\r\n".join([*(f"250-{line}" for line in lines[:-1]), f"250 {lines[-1]}"]))

    def _meet(self, hostname: str, answer: str) -> None:
        again = self.session.host_name is not None
        self.session.host_name = hostname[:_TEXT_SHOWN]
        self.forget()
        if again:  # as idle as RSET
            self.idle(answer)
        else:
            self.reply(answer)

    async def smtp_MAIL(self, arg: str | None) -> None:
        if not self._in_order(
            self.envelope.mail_from is None, "503 5.5.1 One mail at a time: send RSET first"
        ):
            return
        argument = self._parsed(arg, sender=True)
        if argument is None:
            return
        size = argument.parameters.get("SIZE", "0")
        if not size.isascii() or not size.isdigit():
            self.wrong("501 5.5.4 SIZE is no number")
        elif len(size) > 20 or int(size) > self.options.size_maximum:
            self.told("mail refused", Refused.TOO_LARGE, size=size)
            self.wrong("552 5.3.4 Too large: see SIZE in the answer to EHLO", Refused.TOO_LARGE)
        elif argument.parameters.get("BODY", "7BIT").upper() not in _BODIES:
            self.wrong("555 5.5.4 BODY is 7BIT or 8BITMIME here")
        elif argument.parameters.get("SMTPUTF8"):
            self.wrong("501 5.5.4 SMTPUTF8 has no value")
        elif argument.parameters.keys() - _IGNORED - {"SIZE", "BODY", "SMTPUTF8"}:
            self.wrong("555 5.5.4 A parameter of MAIL that is not known here")
        elif self._may_come():
            self.envelope.mail_from = argument.address
            self.reply("250 2.1.0 Ok")

    def _may_come(self) -> bool:
        """Whether a mail can be taken now: if not, that is no fault of the peer's."""
        if self.service.stopping:
            self.part("421 4.3.2 Shutting down, come again later", Refused.STOPPING)
            return False
        refusal = self.service.taking.refusal()
        if refusal is not None:
            cause = Refused.FULL if refusal.status == "4.3.1" else Refused.STORE
            self.service.refused(cause)
            self.told("mail refused", cause, why=refusal.text)
            self.reply(f"{refusal.code} {refusal.status} {refusal.text}")
            return False
        if not self.service.admission.mail(self.place):
            self.service.refused(Refused.RATE)
            self.told("mail refused", Refused.RATE)
            self.reply("450 4.7.1 Too many mails a minute, come again later")
            return False
        return True

    async def smtp_RCPT(self, arg: str | None) -> None:
        if not self._in_order(self.envelope.mail_from is not None, "503 5.5.1 Send MAIL first"):
            return
        argument = self._parsed(arg, sender=False)
        if argument is None:
            return
        if argument.parameters.keys() - _IGNORED:
            self.wrong("555 5.5.4 A parameter of RCPT that is not known here")
        elif len(self.envelope.rcpt_tos) >= self.options.max_recipients:
            self.service.refused(Refused.TOO_MANY_RECIPIENTS)
            self.idle("452 4.5.3 Too many recipients: send the mail again for the others")
        elif not self.service.recipients.take(argument.address):
            self.told("recipient refused", Refused.UNKNOWN_RECIPIENT, recipients=[argument.address])
            self.wrong("550 5.1.1 No such recipient here", Refused.UNKNOWN_RECIPIENT)
        else:
            self.envelope.rcpt_tos.append(argument.address)
            self.reply("250 2.1.5 Ok")

    def _in_order(self, fits: bool, complaint: str) -> bool:
        if self.session.host_name is None:
            complaint, fits = "503 5.5.1 Say hello first", False
        if not fits:
            self.wrong(complaint)
        return fits

    def _parsed(self, arg: str | None, *, sender: bool) -> Argument | None:
        """The argument of MAIL or RCPT, or None where the answer was given."""
        try:
            argument = (mail_argument if sender else rcpt_argument)(arg or "")
        except PathError:
            self.told("address refused", Refused.ADDRESS, address=(arg or "")[:_TEXT_SHOWN])
            self.wrong(f"553 5.1.{7 if sender else 3} No address as RFC 5321 has it", Refused.ADDRESS)
            return None
        except ParameterError:
            self.wrong("501 5.5.4 Parameters are KEYWORD or KEYWORD=VALUE, each once")
            return None
        if argument is None:
            self.wrong("501 5.5.4 Write " + ("MAIL FROM:<address>" if sender else "RCPT TO:<address>"))
        return argument

    async def smtp_RSET(self, arg: str | None) -> None:
        self.forget()
        self.idle("250 2.0.0 Ok")

    async def smtp_NOOP(self, arg: str | None) -> None:
        self.idle("250 2.0.0 Ok")

    async def smtp_HELP(self, arg: str | None) -> None:
        self.idle("214 2.0.0 See RFC 5321")

    async def smtp_VRFY(self, arg: str | None) -> None:
        self.idle("252 2.5.0 Send a mail and see")

    async def smtp_EXPN(self, arg: str | None) -> None:
        self.idle("502 5.5.1 Not here")

    async def smtp_AUTH(self, arg: str | None) -> None:
        self.wrong("502 5.5.1 Not here")

    async def smtp_QUIT(self, arg: str | None) -> None:
        self.part("221 2.0.0 Bye", None)
