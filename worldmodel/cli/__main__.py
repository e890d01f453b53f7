"""`python -m worldmodel.cli` is `worldmodel`."""

from worldmodel.cli import main

main()
