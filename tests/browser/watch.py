"""What a page must never do: complain in the console, violate the policy, leave its origin."""

from __future__ import annotations

from playwright.sync_api import ConsoleMessage, Page, Request

NOTE_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) => {
  console.error(`CSP ${event.violatedDirective} ${event.blockedURI}`);
});
"""


class Watch:
    """Collects complaints; a refused request that a test provokes is named in `expected`."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.complaints: list[str] = []
        self.requests: list[Request] = []

    def follow(self, page: Page) -> None:
        page.add_init_script(NOTE_VIOLATIONS)
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(f"error {error}"))
        page.on("dialog", lambda dialog: self._refuse(dialog.message))
        page.on("request", self._note)

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not is_provoked(message.text):
            self.complaints.append(f"{message.type} {message.text}")

    def _refuse(self, text: str) -> None:
        self.complaints.append(f"dialog {text}")

    def _note(self, request: Request) -> None:
        self.requests.append(request)
        is_own = request.url.startswith((self.origin, "data:", "blob:"))
        if not is_own:
            self.complaints.append(f"off origin {request.url}")


def is_provoked(text: str) -> bool:
    """Chromium itself writes every refused or aborted request to the console."""
    return text.startswith("Failed to load resource:")
