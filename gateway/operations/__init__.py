"""The watch over the gateway: its log, what systemd hears of it, whether it is healthy, and the way to ask it.

Knows neither listeners nor links by name: the daemon hands in what to look at.
"""
