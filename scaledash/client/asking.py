"""Ask the server about a run before it is continued: at most ten seconds, never more than a try."""

from __future__ import annotations

import threading
from dataclasses import replace

from scaledash.client.console import Console
from scaledash.client.description import build_create
from scaledash.client.discovery import Server
from scaledash.client.errors import UsageError
from scaledash.client.identity import Identity
from scaledash.client.link import API
from scaledash.client.settings import Pace
from scaledash.client.transport import Reply, Transport

ASK_SECONDS = 10.0


def ask_about_run(
    identity: Identity, pace: Pace, server: Server, console: Console
) -> tuple[int | None, bool]:
    """Create or resume the run now, under the request id that the sender repeats later.

    Returns
    -------
    last_step : int or None
        Last step that the server has.
    is_known : bool
        Whether the server answered; False settles it at first contact.

    Raises
    ------
    UsageError
        `resume="must"` on a run known to be absent, `resume="never"` on one known to exist.
    """
    reply = _ask(identity, pace, server)
    run = reply.read_json() if reply.status in (200, 201) else None
    if run is not None:
        last, attempt = run.get("last_step"), run.get("attempt")
        identity.attempt = attempt if isinstance(attempt, int) else 0
        return (last if isinstance(last, int) else None), True
    code, message, _ = reply.read_error()
    if reply.status == 404 and identity.resume == "must" and code:
        raise UsageError(f"resume='must': run {identity.id!r} does not exist: {message}")
    if reply.status == 409 and identity.resume == "never":
        raise UsageError(f"resume='never': run {identity.id!r} exists already: {message}")
    console.warn(
        "resume",
        f"could not ask about run {identity.id!r} ({message}); it goes on, and"
        " is settled when the server answers",
    )
    return None, False


def _ask(identity: Identity, pace: Pace, server: Server) -> Reply:
    """Send the request from a thread: no time limit of a socket covers the look-up of its name."""
    limit = min(pace.connect_seconds, ASK_SECONDS / 2)
    transport = Transport(server, replace(pace, connect_seconds=limit, read_seconds=limit))
    replies: list[Reply] = []

    def send() -> None:
        body = build_create(identity.to_record(), None)
        replies.append(transport.send_json("POST", API, body))
        transport.close()

    thread = threading.Thread(target=send, name="scaledash-ask", daemon=True)
    thread.start()
    thread.join(ASK_SECONDS)
    return replies[0] if replies else Reply(0, problem="no answer in time")
