"""`python -m langmeter.cli`: the command line where the script `langmeter` is not on the path."""

from langmeter.cli import main

main()
