"""What an evaluation found: its contents, as JSON for machines and as one HTML file for people."""
