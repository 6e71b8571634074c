"""`python -m wellhead.app.cli`: the command line without its script."""

from wellhead.app.cli import main

main()
