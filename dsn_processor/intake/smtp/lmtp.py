"""LMTP (RFC 2033): LHLO instead of HELO and EHLO, and after the mail one answer for each recipient."""

from typing import ClassVar

from dsn_processor.intake.smtp.session import Session


class LmtpSession(Session):
    """A session of LMTP. A mail is stored once for all its recipients, so that all have the same answer."""

    spoken: ClassVar[str] = "LHLO MAIL RCPT DATA RSET NOOP HELP VRFY EXPN AUTH STARTTLS QUIT"

    def greet(self) -> None:
        if not self._closing:
            self.reply(f"220 {self.service.hostname} LMTP")

    async def smtp_LHLO(self, hostname: str | None) -> None:
        await self.smtp_EHLO(hostname)

    def answer_mail(self, answer: str) -> None:
        self.reply("\r\n".join([answer] * len(self.envelope.rcpt_tos)))
