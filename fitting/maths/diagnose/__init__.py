"""One module per instability diagnostic."""
