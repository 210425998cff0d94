"""How good is it? Test questions × models → answers, run and compared with the reference, with honest statistics."""
