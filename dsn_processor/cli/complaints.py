"""What went wrong, on standard error."""

import sys


def complain(text: object) -> None:
    """Say on standard error what went wrong. Names of files and words of mails are made safe for a terminal."""
    from dsn_processor.cli.render import safe

    if sys.stderr is not None:  # print() would take standard output instead
        print(f"dsn-processor: {safe(text)}", file=sys.stderr)
