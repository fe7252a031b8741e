"""Bring runs from elsewhere: files of other trackers, or their servers, into ScaleDash."""
