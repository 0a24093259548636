"""Where mail comes in: bytes and an envelope, before anybody looked."""
