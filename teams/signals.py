"""What teams announce, inside the transaction that makes the change; teams know no listener.

`comment_written` has `sender=Comment` and carries `comment`, which is new or was edited, and
`named`, the members whom it names now.
"""

from django.dispatch import Signal

comment_written = Signal()
