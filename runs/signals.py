"""What runs announce, inside the transaction that makes the change; runs know no listener.

Every signal has `sender=Run`. `run_created` and `run_edited` carry `run` and `studies`, the slugs
of the studies that the request names; `runs_edited` carries `project_id` and `run_ids`, of runs
changed at once; `run_ended` carries `run`; `batch_stored` carries `run_id` and `metrics`, the names
of the metrics in the batch. What `batch_stored` and `run_ended` tell of goes to the database with
the first prepared statement of a listener (teams.store.together), which must not read it before.

`run_shown` is sent for the page of a `run`: a listener may return a panel, a dict with the name of
its `template` and what that shows; its `marks`, made by runs.events.make_event, stand in the list
of events and, where `is_drawn`, on the curves. `is_shared` says that a share link shows it, without
names of members.
"""

from django.dispatch import Signal

run_created = Signal()
run_edited = Signal()
runs_edited = Signal()
run_ended = Signal()
batch_stored = Signal()
run_shown = Signal()
