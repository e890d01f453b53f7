"""`python -m worldmodel` is `worldmodel`."""

from worldmodel.cli import main

main()
