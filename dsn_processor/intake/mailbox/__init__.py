"""Mailboxes that mail is fetched from: IMAP and POP3."""
