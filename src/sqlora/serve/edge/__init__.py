"""Between the socket and the protocols: connections that stall, bodies that are too large, notes of every request."""
