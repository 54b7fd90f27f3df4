"""What is done with all parts together while they run: reload, health, figures, and answers to the control socket.

Sees every wing; only the daemon and the commands see it.
"""
