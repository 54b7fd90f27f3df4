"""`python -m gateway` is the command `sensor-gateway`."""

from gateway.cli import main

main()
