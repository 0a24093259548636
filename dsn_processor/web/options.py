"""What an operator can set of the web server."""

from dataclasses import dataclass

from dsn_processor.listening import ListenAddress, listen_address


@dataclass(frozen=True, slots=True, kw_only=True)
class WebOptions:
    """Where metrics and health are served; ``listen`` "none" switches that off. Nothing there tells of a mail, but
    figures are nobody else's business either: the default is this machine alone.
    """

    listen: str = "127.0.0.1:8025"

    def __post_init__(self) -> None:
        self.address()

    def address(self) -> ListenAddress | None:
        """None where the web server is off. Raises ValueError."""
        if self.listen in {"none", ""}:
            return None
        address = listen_address(self.listen)
        if address.path:
            raise ValueError('listen takes no unix socket: write HOST:PORT, or "none"')
        return address
