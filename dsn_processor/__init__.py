"""An inbound DSN mailbox processor. Start reading at :mod:`dsn_processor.pipeline`."""

__version__ = "0.1.0"
