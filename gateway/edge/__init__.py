"""Out to the viewers: who may come in, what they say, and the sockets it goes out on.

Verdicts, dialects and the session are pure; only `tls`, `connection` and `server` touch sockets. Never imports
`upstream`.
"""
