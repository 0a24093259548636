"""All settings of a server, composed of what each room says can be set."""

from dataclasses import dataclass, field

from dsn_processor.correlate.options import CorrelationOptions
from dsn_processor.intake.mailbox.options import AccountOptions, ImapOptions, PopOptions
from dsn_processor.intake.smtp.options import LmtpOptions, SmtpOptions, check_together
from dsn_processor.listening import ListenAddress, listen_address
from dsn_processor.logs import LogOptions
from dsn_processor.notify.options import WebhookOptions
from dsn_processor.notify.people.options import NotifyOptions
from dsn_processor.policy.modes import Ruling
from dsn_processor.policy.options import PolicyOptions
from dsn_processor.server.options import ProcessingOptions
from dsn_processor.settings import DEFAULT_DATABASE
from dsn_processor.units import Size
from dsn_processor.web.options import WebOptions

#: Sections of which there may be any number, each with a name: an account, or people to be told.
ACCOUNTS: dict[str, type[AccountOptions | NotifyOptions]] = {
    "imap": ImapOptions,
    "pop3": PopOptions,
    "notify": NotifyOptions,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a server does. ``database`` is a URL, ``rules`` a file of own rules ("" is none). Where the database's file
    system has less than ``min_free`` bytes left, no mail is taken. No two accounts have the same name.
    """

    database: str = DEFAULT_DATABASE
    rules: str = ""
    min_free: Size = 200_000_000
    smtp: SmtpOptions = field(default_factory=SmtpOptions)
    lmtp: LmtpOptions = field(default_factory=LmtpOptions)
    web: WebOptions = field(default_factory=WebOptions)
    correlation: CorrelationOptions = field(default_factory=CorrelationOptions)
    policy: PolicyOptions = field(default_factory=PolicyOptions)
    webhooks: WebhookOptions = field(default_factory=WebhookOptions)
    processing: ProcessingOptions = field(default_factory=ProcessingOptions)
    log: LogOptions = field(default_factory=LogOptions)
    imap: tuple[ImapOptions, ...] = ()
    pop3: tuple[PopOptions, ...] = ()
    notify: tuple[NotifyOptions, ...] = ()

    def __post_init__(self) -> None:
        if "://" not in self.database:
            raise ValueError(f"database is {self.database!r}, no URL: write sqlite:///path/to/file.db")
        check_together(self.smtp, self.lmtp)

    @property
    def ruling(self) -> Ruling:
        """By what addresses are judged."""
        return Ruling(self.policy, bool(self.correlation.keys))

    @property
    def addresses(self) -> list[tuple[str, ListenAddress]]:
        """The addresses to listen on, each with what is spoken there: smtp, lmtp or web."""
        doors = (("smtp", self.smtp.listen), ("lmtp", self.lmtp.listen))
        found = [(name, listen_address(text)) for name, texts in doors for text in texts]
        web = self.web.address()
        return [*found, ("web", web)] if web else found

    @property
    def accounts(self) -> tuple[ImapOptions | PopOptions, ...]:
        """The mailboxes to fetch from."""
        return (*self.imap, *self.pop3)
