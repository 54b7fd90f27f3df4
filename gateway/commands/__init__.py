"""The commands that have a body of their own, and what they are made of.

Below `cli`, above everything else: a command may touch files, processes, the terminal and the clock.
"""
