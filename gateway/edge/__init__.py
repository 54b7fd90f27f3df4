"""Out to the viewers: who may come in, what they say, and the sockets it goes out on.

Verdicts, dialects and the session are pure; only `tls`, `transport`, `preface` and `listeners` touch sockets. Never
imports `upstream`.
"""
