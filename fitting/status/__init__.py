"""How the server is: one sentence, and the figures behind it."""
