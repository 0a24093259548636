"""Mail over SMTP (RFC 5321) and LMTP (RFC 2033): a listener that answers 250 for what is on disk, and for nothing else.

listener   sockets, starting, stopping
session    one connection: its life, its deadlines, DATA, STARTTLS;  dialogue: the other commands;  lmtp
service    what all sessions share
admission  who may come in, and how often
address, recipients, data, spool    reading what is said, without a socket
"""
