"""Tells others what happened: applications by webhooks, people by messages."""
