"""All parts together: how they are wired, reload, health, figures, and answers to the control socket.

Sees every wing; only the daemon and the commands see it.
"""
