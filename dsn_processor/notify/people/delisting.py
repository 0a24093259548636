"""Where to ask to be taken off a list. The pages are those that each operator's own documents name for it.

A refusal that shows a page of its own comes first: it knows the address it is about.
"""

from collections.abc import Mapping
from typing import Any

#: A list by its zone or name -> the page. A name means every zone below it.
_LISTS = {
    "spamhaus.org": "https://check.spamhaus.org/",
    "spamhaus.net": "https://check.spamhaus.org/",
    "spamhaus": "https://check.spamhaus.org/",
    "abuseat.org": "https://check.spamhaus.org/",
    "cbl": "https://check.spamhaus.org/",
    "barracudacentral.org": "https://www.barracudacentral.org/rbl/removal-request",
    "barracuda": "https://www.barracudacentral.org/rbl/removal-request",
    "spamcop.net": "https://www.spamcop.net/bl.shtml",
    "spamcop": "https://www.spamcop.net/bl.shtml",
    "uceprotect.net": "https://www.uceprotect.net/en/rblcheck.php",
    "uceprotect": "https://www.uceprotect.net/en/rblcheck.php",
    "backscatterer.org": "https://www.backscatterer.org/",
    "backscatterer": "https://www.backscatterer.org/",
    "mailspike.net": "https://mailspike.org/iplookup.html",
    "mailspike.org": "https://mailspike.org/iplookup.html",
    "mailspike": "https://mailspike.org/iplookup.html",
    "abusix.zone": "https://lookup.abusix.com/",
    "abusix.com": "https://lookup.abusix.com/",
    "abusix": "https://lookup.abusix.com/",
    "invaluement.com": "https://www.invaluement.com/removal/",
    "invaluement": "https://www.invaluement.com/removal/",
    "surriel.com": "https://psbl.org/",
    "psbl.org": "https://psbl.org/",
    "psbl": "https://psbl.org/",
    "passive spam block list": "https://psbl.org/",
    "spamrats.com": "https://www.spamrats.com/removal.php",
    "spamrats": "https://www.spamrats.com/removal.php",
    "dronebl.org": "https://dronebl.org/lookup",
    "dronebl": "https://dronebl.org/lookup",
    "blocklist.de": "https://www.blocklist.de/en/delist.html",
    "junkemailfilter.com": "https://ipadmin.junkemailfilter.com/remove.php",
    "hostkarma": "https://ipadmin.junkemailfilter.com/remove.php",
    "proofpoint.com": "https://ipcheck.proofpoint.com/",
    "proofpoint": "https://ipcheck.proofpoint.com/",
    "cloudmark.com": "https://csi.cloudmark.com/en/reset/",
    "cloudmark": "https://csi.cloudmark.com/en/reset/",
    "senderbase.org": "https://talosintelligence.com/reputation_center",
    "senderbase": "https://talosintelligence.com/reputation_center",
    "mail-abuse.com": "https://servicecentral.trendmicro.com/en-us/ers/ip-lookup",
    "trend micro": "https://servicecentral.trendmicro.com/en-us/ers/ip-lookup",
    "surbl.org": "https://surbl.org/surbl-analysis",
    "surbl": "https://surbl.org/surbl-analysis",
    "uribl.com": "https://admin.uribl.com/",
    "uribl": "https://admin.uribl.com/",
}
#: Receivers with a list of their own, by what their servers are called.
_RECEIVERS = {
    "mail.protection.outlook.com": "https://sender.office.com/",
    "olc.protection.outlook.com": "https://olcsupport.office.com/",
    "google.com": "https://support.google.com/mail/contact/gmail_bulk_sender_escalation",
    "yahoodns.net": "https://senders.yahooinc.com/contact/",
    "gmx.net": "https://postmaster.gmx.net/",
    "t-online.de": "https://postmaster.t-online.de/",
    "comcast.net": "https://spa.xfinity.com/report",
    "orange.fr": "https://postmaster.orange.fr/",
    "icloud.com": "https://support.apple.com/en-us/102322",
}


def page(data: Mapping[str, Any]) -> str | None:
    """Where to ask, for a refusal of the sender; None where nobody knows."""
    block = data.get("block") or {}
    if block.get("url"):
        return str(block["url"])
    return _below(block.get("list"), _LISTS) or _below(data.get("remote_mta"), _RECEIVERS)


def _below(name: str | None, pages: Mapping[str, str]) -> str | None:
    labels = (name or "").casefold().strip(". []").split(".")
    return next(
        (found for first in range(len(labels)) if (found := pages.get(".".join(labels[first:])))), None
    )
