"""What went wrong, on standard error."""

import sys


def complain(text: object) -> None:
    """Say on standard error what went wrong, a line each where that is several things. Names of files and words of
    mails are made safe for a terminal.

    Where nobody listens (closed, a full disk, a pipe's other end gone) nothing is said, and the exit code stays.
    """
    from dsn_processor.safe import safe

    if sys.stderr is None:  # print() would take standard output instead
        return
    try:
        for line in getattr(text, "problems", (text,)):
            print(f"dsn-processor: {safe(line)}", file=sys.stderr, flush=True)
    except OSError:
        sys.stderr = None  # the interpreter would try again at exit, and change the exit code
