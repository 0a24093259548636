"""Addresses of a function rather than a person (RFC 2142, and what is usual)."""

_ROLES = """
abuse accounting accounts admin administrator billing bounce bounces careers compliance contact
customerservice devnull dns enquiries feedback finance ftp hello help helpdesk hostmaster hr info
inquiries investors it jobs legal list list-request mail mailer-daemon maildaemon marketing media
news newsletter no-reply noc noreply office orders postmaster press privacy recruiting reception
registrar remove request root sales security spam staff subscribe support sysadmin tech unsubscribe
usenet uucp webmaster www
"""
ROLES = frozenset(_ROLES.split())


def is_role(address: str) -> bool:
    """Whether a canonical address is that of a function."""
    return address.rpartition("@")[0].partition("+")[0] in ROLES
