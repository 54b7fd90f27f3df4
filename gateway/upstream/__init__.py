"""In from the brokers: one link per upstream, paho on the event loop, messages handed to a Publisher.

May touch sockets, the loop's clock and its own connect thread; never imports `edge`.
"""
