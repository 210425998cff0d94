"""What it costs, and what the other ways would cost: a dated price table, and exact arithmetic over it."""
