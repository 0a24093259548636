"""What an operator can set of the server itself."""

from dataclasses import dataclass

from dsn_processor.units import Size


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessingOptions:
    """How accepted mails are made sense of. ``workers`` processes read them, 0 meaning one for each core but one, at
    least two; each mail may take ``cpu_seconds`` and a worker ``memory`` bytes of address space.
    """

    workers: int = 0
    cpu_seconds: int = 4
    memory: Size = 1_000_000_000

    def __post_init__(self) -> None:
        if not 0 <= self.workers <= 256:
            raise ValueError(
                "workers has to be a number from 0 to 256; 0 is one for each core but one, at least two"
            )
        if not 1 <= self.cpu_seconds <= 600:
            raise ValueError("cpu_seconds has to be a number from 1 to 600")
        if self.memory < 256_000_000:
            raise ValueError("memory has to be 256MB or more: a worker with its rules needs as much")
