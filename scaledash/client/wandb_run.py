"""Methods of a run that scripts written for W&B call, beside those that ScaleDash has itself."""

from __future__ import annotations

import html
from typing import Any

from scaledash.client.about import About
from scaledash.client.errors import UsageError
from scaledash.client.unstored import Unstored, make_class, say_not_stored, say_once

INSTEAD = {
    "restore": "ScaleDash keeps no files; read the checkpoint from where the script wrote it",
    "use_artifact": "ScaleDash keeps no artifacts; give the path of the data or model",
    "use_model": "ScaleDash keeps no models; give the path of the checkpoint",
    "sweep": "ScaleDash runs no sweep server; start one job per setting with init(study=...),"
    " as examples/slurm_array.sh does",
}
INSTEAD |= dict.fromkeys(("agent", "controller"), INSTEAD["sweep"])


class WandbRun(About):
    """W&B's names on a run.

    `watch`, `save` and the logging of artifacts warn once and do nothing; what a script cannot go
    on without (`use_artifact`, `use_model`, `restore`) raises UsageError naming the alternative.
    """

    sweep_id = None
    sweep_url = None

    def watch(self, models: object = None, *arguments: object, **named: object) -> None:
        """Do nothing: log gradient norms yourself."""
        say_once("watch", 'watch() records nothing; log the norm: run.log({"optim.grad_norm": x})')

    def unwatch(self, models: object = None) -> None:
        """Do nothing."""

    def save(self, *arguments: object, **named: object) -> list[str]:
        """Do nothing: files are not stored."""
        say_once("save", "save() keeps no file; the path of a checkpoint can stand in the summary")
        return []

    def log_code(self, *arguments: object, **named: object) -> None:
        """Do nothing: commit and uncommitted changes are recorded by themselves."""
        say_once("log_code", "log_code() is not needed: commit and diff are recorded by themselves")

    def log_artifact(self, artifact: Any = None, *arguments: object, **named: object) -> Any:
        """Store nothing and give the artifact back, or for a path one that takes every call."""
        say_not_stored("log_artifact")
        return (
            artifact if isinstance(artifact, Unstored) else make_class("Artifact").make_silently()
        )

    finish_artifact = upsert_artifact = log_artifact

    def log_model(self, *arguments: object, **named: object) -> Any:
        """Store nothing, and give back what takes every call."""
        say_not_stored("log_model")
        return make_class("Artifact").make_silently()

    def link_model(self, *arguments: object, **named: object) -> Any:
        """Store nothing, and give back what takes every call."""
        say_not_stored("link_model")
        return make_class("Artifact").make_silently()

    link_artifact = link_model

    def use_artifact(self, *arguments: object, **named: object) -> Any:
        """Raise UsageError: there is nothing to give back."""
        raise UsageError(f"use_artifact: {INSTEAD['use_artifact']}")

    def use_model(self, *arguments: object, **named: object) -> Any:
        """Raise UsageError: there is nothing to give back."""
        raise UsageError(f"use_model: {INSTEAD['use_model']}")

    def restore(self, *arguments: object, **named: object) -> Any:
        """Raise UsageError: there is nothing to give back."""
        raise UsageError(f"restore: {INSTEAD['restore']}")

    def get_url(self) -> str | None:
        """Return the address of the run's page."""
        return self.url

    def project_name(self) -> str:
        """Return the slug of the project."""
        return self.project

    @property
    def project_url(self) -> str | None:
        """Address of the project's page; None offline."""
        return self.url.rpartition("/r/")[0] if self.url else None

    def get_project_url(self) -> str | None:
        """Return the address of the project's page."""
        return self.project_url

    def get_sweep_url(self) -> None:
        """Return None: a run belongs to studies, not to a sweep."""

    @property
    def sync_dir(self) -> str:
        """Directory that `scaledash sync` takes."""
        return self.dir

    def display(self, *arguments: object, **named: object) -> bool:
        """Show nothing: the run's page is at `url`."""
        return False

    def to_html(self, *arguments: object, **named: object) -> str:
        """Return a link to the run's page."""
        return f'<a href="{html.escape(self.url)}">{self.path}</a>' if self.url else self.path

    def write_logs(self, *arguments: object, **named: object) -> None:
        """Do nothing: the output of the job is not stored."""
        say_once("write_logs", "write_logs() keeps no text; numbers are stored by log()")

    def pin_config_keys(self, *arguments: object, **named: object) -> None:
        """Do nothing: every page of runs lets its reader choose the columns."""

    def _label(self, *arguments: object, **named: object) -> None:
        """Take what frameworks tell W&B of themselves."""
