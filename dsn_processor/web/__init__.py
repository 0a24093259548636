"""What a server tells over HTTP: metrics and health."""
