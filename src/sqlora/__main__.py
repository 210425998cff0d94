"""``python -m sqlora.cli`` is ``sqlora``."""

from sqlora.cli.app import main

main()
