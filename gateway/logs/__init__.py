"""Logs that are kept on disk or elsewhere, and the history read from them.

May use threads and files. Imports nothing of `edge` and `upstream`; imported only where it is configured, since an edge
box has little memory.
"""
