"""The command line: `sqlora.cli.app`, one file per command, what they share in command, output and progress."""
