"""sensor-gateway: MQTT sensor topics in, secure WebSocket streams out.

The folders are the message's way: `upstream` takes it in, `hub` decides what becomes of it, `edge` hands it to the
viewers. Imports point down only (tests/test_imports.py holds the floors).
"""

__version__ = "0.1.0"
