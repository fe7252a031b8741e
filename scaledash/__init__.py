"""ScaleDash: log training runs, read them back. `scaledash.init`, `run.log`, `scaledash.Api`."""

from importlib import import_module

TYPE_CHECKING = False  # of typing, whose import would cost more than all the rest here
if TYPE_CHECKING:
    from scaledash.client.api import Api
    from scaledash.client.config import Config, Summary
    from scaledash.client.current import (
        alert,
        define_metric,
        finish,
        log,
        log_metrics,
        mark,
        mark_preempting,
        rewind,
        set_scale,
    )
    from scaledash.client.errors import AuthError, Error, NotFound, Refused, UsageError
    from scaledash.client.run import Run, init
    from scaledash.client.settings import Settings
    from scaledash.client.wandb_names import AlertLevel, login, setup, teardown

    run: Run | None
    config: Config
    summary: Summary

__version__ = "0.1.0"
__all__ = [
    "AlertLevel", "Api", "AuthError", "Error", "NotFound", "Refused", "Run", "Settings",
    "UsageError", "__version__", "alert", "config", "define_metric", "finish", "init", "log",
    "log_metrics", "login", "mark", "mark_preempting", "rewind", "run", "set_scale", "setup",
    "summary", "teardown",
]  # fmt: skip

# Nothing is loaded before it is used: importing scaledash costs a training job next to nothing.
_MODULES = {
    "api": "Api",
    "current": "alert define_metric finish log log_metrics mark mark_preempting rewind set_scale",
    "errors": "AuthError Error NotFound Refused UsageError",
    "run": "Run init",
    "settings": "Settings",
    "wandb_names": "AlertLevel login setup teardown",
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names.split()}


def __getattr__(name: str) -> object:
    if name in ("run", "config", "summary"):  # never kept: they change with the newest run
        return getattr(import_module("scaledash.client.current"), f"get_{name}")()
    if name not in _HOMES:
        return import_module("scaledash.client.wandb_names").find_name(name)
    value = getattr(import_module(f"scaledash.client.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [name for name in __all__ if name not in ("config", "summary")]
