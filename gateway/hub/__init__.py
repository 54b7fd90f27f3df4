"""What becomes of a message: its offset, its last value, its audiences, and each client's outbox.

Pure: bytes and a clock in, bytes and decisions out. No socket, no task, no dialect by name.
"""
