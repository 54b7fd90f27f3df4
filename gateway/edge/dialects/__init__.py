"""The clients' languages: bytes to commands, events to bytes. Pure; one file a dialect."""
