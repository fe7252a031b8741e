"""Settings of the server, all read from the environment.

docs/operations.md describes every variable. `checks.py` refuses unsafe combinations.
"""

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

from scaledash import __version__

BASE_DIR = Path(__file__).resolve().parent.parent
VERSION = __version__


def _flag(name: str, default: str = "0") -> bool:
    return os.environ.get(name, default).strip().lower() in {"1", "true", "yes", "on"}


def _names(name: str, default: str) -> list[str]:
    return [part.strip() for part in os.environ.get(name, default).split(",") if part.strip()]


def _database(url: str) -> dict[str, object]:
    """Read postgresql://user:password@host:port/name or postgresql:///name?host=/socket/dir."""
    parts = urlsplit(url)
    query = dict(pair.split("=", 1) for pair in parts.query.split("&") if "=" in pair)
    return {
        "ENGINE": "scaledash.database",
        "NAME": unquote(parts.path.lstrip("/")) or "scaledash",
        "USER": unquote(parts.username or query.get("user", "")),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": unquote(query.get("host", parts.hostname or "")),
        "PORT": str(parts.port or query.get("port", "")),
        "CONN_MAX_AGE": 600,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            "application_name": "scaledash",
            "connect_timeout": 5,
            "options": (
                f"-c statement_timeout={STATEMENT_TIMEOUT_SECONDS}s -c lock_timeout=2s"
                " -c idle_in_transaction_session_timeout=10s"
            ),
        },
    }


DEBUG = _flag("SCALEDASH_DEBUG")
SECRET_KEY = os.environ.get("SCALEDASH_SECRET_KEY", "")
SCALEDASH_HOME = Path(os.environ.get("SCALEDASH_HOME", BASE_DIR / ".scaledash"))
SCALEDASH_BIND = os.environ.get("SCALEDASH_BIND", "127.0.0.1")
SCALEDASH_BASE_URL = os.environ.get("SCALEDASH_BASE_URL", "").rstrip("/")
SCALEDASH_WORKERS = int(os.environ.get("SCALEDASH_WORKERS", "2"))
ALLOWED_HOSTS = _names("SCALEDASH_ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")

STATEMENT_TIMEOUT_SECONDS = int(os.environ.get("SCALEDASH_STATEMENT_TIMEOUT_SECONDS", "10"))
DATABASES = {"default": _database(os.environ.get("DATABASE_URL", "postgresql:///scaledash"))}
_OWNER_URL = os.environ.get("SCALEDASH_OWNER_DATABASE_URL", "")
OWNER_DATABASE = _database(_OWNER_URL) if _OWNER_URL else None  # of `prepare` and `restore` only
REDIS_URL = os.environ.get("REDIS_URL", "")
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

MAX_BODY_BYTES = 2 * 1024 * 1024
MAX_INFLATED_BYTES = 8 * 1024 * 1024
MAX_DOCUMENT_BYTES = 2 * 1024 * 1024  # JSON bodies other than metric batches, decompressed
MAX_JSON_DEPTH = 8
MAX_METRICS_PER_RUN = 2_000
MAX_RUNS_PER_PROJECT = 20_000
MAX_TAGS_PER_RUN = 64
MAX_CONFIG_BYTES = 256 * 1024
MAX_NOTES_BYTES = 64 * 1024
MAX_HOST_BYTES = 1024 * 1024
MAX_PREVIEW_BYTES = 512 * 1024
MAX_PAGE_SIZE = 500
MAX_CHOSEN_PAGE_SIZE = 5_000  # of runs, where the request names their columns
MAX_SERIES_PER_REQUEST = 1_000
REQUESTS_PER_SECOND = float(os.environ.get("SCALEDASH_REQUESTS_PER_SECOND", "0"))  # 0: no limit
DATA_UPLOAD_MAX_MEMORY_SIZE = MAX_BODY_BYTES
# Hosts that webhooks may call although they are private; all others must be public.
WEBHOOK_PRIVATE_HOSTS = [name.lower() for name in _names("SCALEDASH_WEBHOOK_PRIVATE_HOSTS", "")]
STALE_AFTER_SECONDS = 75
CRASHED_AFTER_SECONDS = 150
PURGE_AFTER_DAYS = int(os.environ.get("SCALEDASH_PURGE_AFTER_DAYS", "30"))  # 0: never
KEEP_BATCH_KEYS_DAYS = int(os.environ.get("SCALEDASH_KEEP_BATCH_KEYS_DAYS", "30"))  # 0: for ever

REFIT_HINT_WINDOW_MS = 250
REFIT_SWEEP_SECONDS = 0.5
REFIT_LEASE_SECONDS = float(os.environ.get("SCALEDASH_REFIT_LEASE_SECONDS", "3"))
REFIT_SOFT_LIMIT_SECONDS = 20
REFIT_HARD_LIMIT_SECONDS = 30
REFIT_BOOTSTRAPS = int(os.environ.get("SCALEDASH_REFIT_BOOTSTRAPS", "1000"))

INSTALLED_APPS = [
    "scaledash.apps.ScaledashConfig",
    "teams.apps.TeamsConfig",
    "runs.apps.RunsConfig",
    "fitting.apps.FittingConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
]
MIDDLEWARE = [
    "scaledash.middleware.SecurityHeaders",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "scaledash.middleware.Outages",
    "scaledash.middleware.PlainUrls",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "teams.sessions.SessionLimits",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "teams.audit.RememberRequest",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "scaledash.urls"
WSGI_APPLICATION = "scaledash.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "scaledash.middleware.page_context",
                "fitting.alerts.contexts.count_for_bell",
            ],
        },
    },
]

AUTH_USER_MODEL = "teams.User"
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "/"
LOGIN_LINK_MINUTES = 15
RESET_LINK_HOURS = 24
MAILED_LINK_MINUTES = 60
LOGIN_FAILURES_ALLOWED = 5
LOGIN_FAILURE_MINUTES = 15
SESSION_IDLE_SECONDS = 2 * 24 * 3600
TRUSTED_PROXIES = int(os.environ.get("SCALEDASH_TRUSTED_PROXIES", "0"))

EMAIL_URL = urlsplit(os.environ.get("SCALEDASH_EMAIL_URL", ""))
SENDS_EMAIL = bool(EMAIL_URL.geturl())
EMAIL_HOST = EMAIL_URL.hostname or ""
EMAIL_PORT = EMAIL_URL.port or {"smtps": 465, "smtp": 25}.get(EMAIL_URL.scheme, 587)
EMAIL_HOST_USER = unquote(EMAIL_URL.username or "")
EMAIL_HOST_PASSWORD = unquote(EMAIL_URL.password or "")
EMAIL_USE_SSL = EMAIL_URL.scheme == "smtps"
EMAIL_USE_TLS = EMAIL_URL.scheme == "smtp+tls"
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = os.environ.get("SCALEDASH_EMAIL_FROM", "")

HTTPS = SCALEDASH_BASE_URL.startswith("https://")
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_SSL_REDIRECT = HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
SECURE_REFERRER_POLICY = "same-origin"
# Browsers keep cookies by host, not by port: two servers on one machine must not share one.
_PORT = urlsplit(SCALEDASH_BASE_URL).port
SESSION_COOKIE_NAME = "__Host-scaledash" if HTTPS else f"scaledash_session_{_PORT or 'http'}"
SESSION_ENGINE = "teams.session_store"
SESSION_COOKIE_SECURE = HTTPS
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 14 * 24 * 3600
CSRF_COOKIE_NAME = "__Host-csrf" if HTTPS else "scaledash_csrf"
CSRF_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_TRUSTED_ORIGINS = [SCALEDASH_BASE_URL] if SCALEDASH_BASE_URL else []
CSRF_FAILURE_VIEW = "scaledash.failures.csrf_failure"
X_FRAME_OPTIONS = "DENY"

STATIC_URL = "/static/"
STATIC_ROOT = Path(os.environ.get("SCALEDASH_STATIC_ROOT", SCALEDASH_HOME / "static"))
NODE_MODULES = Path(os.environ.get("SCALEDASH_NODE_MODULES", BASE_DIR / "node_modules"))
STATICFILES_DIRS = [
    BASE_DIR / "static",
    ("vendor/uplot", NODE_MODULES / "uplot" / "dist"),
    ("vendor/plotly", NODE_MODULES / "plotly.js-cartesian-dist-min"),
]
WHITENOISE_ALLOW_ALL_ORIGINS = False  # its default lets every site read our scripts
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "scaledash.storage.HashedStaticFiles"},
}

USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-us"
USE_I18N = False

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["teams.api.auth.BearerOrSession"],
    "DEFAULT_PERMISSION_CLASSES": ["teams.api.auth.ScopeAllows"],
    "DEFAULT_RENDERER_CLASSES": ["teams.api.renderers.SafeJsonRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "teams.api.renderers.QuickNegotiation",
    "DEFAULT_PARSER_CLASSES": ["teams.api.parsers.StrictJsonParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "teams.api.answers.handle_exception",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "ScaleDash API",
    "VERSION": VERSION,
    "DESCRIPTION": "Log runs, read them back, and ask for studies and their fits.",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": [],
    "SERVE_AUTHENTICATION": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SCHEMA_PATH_PREFIX": r"/api/v1",
    "ENUM_NAME_OVERRIDES": {
        "AlertKind": "fitting.alerts.models.AlertKind",
        "AlertSeverity": "fitting.alerts.models.Level",
        "DeliveryState": "fitting.alerts.models.DeliveryState",
        "FitKind": "fitting.models.FitKind",
        "RunState": "runs.models.RunState",
        "TokenState": "teams.api.serializers.TOKEN_STATES",
        "InvitationState": "teams.api.serializers.INVITATION_STATES",
    },
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "teams.api.schema.describe_errors",
    ],
}

REDIS_SOCKET_TIMEOUT_SECONDS = 0.2
CELERY_BROKER_URL = REDIS_URL.replace("unix://", "redis+socket://", 1) if REDIS_URL else "memory://"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_SERIALIZER = "json"
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = False
CELERY_TASK_DEFAULT_QUEUE = "refit"
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_MAX_TASKS_PER_CHILD = 200
CELERY_WORKER_MAX_MEMORY_PER_CHILD = 1_000_000  # kilobytes
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 60}
CELERY_TASK_SOFT_TIME_LIMIT = REFIT_SOFT_LIMIT_SECONDS
CELERY_TASK_TIME_LIMIT = REFIT_HARD_LIMIT_SECONDS

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"secrets": {"()": "scaledash.lib.logs.MaskSecrets"}},
    "formatters": {"json": {"()": "scaledash.lib.logs.JsonLines"}},
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "formatter": "json",
            "filters": ["secrets"],
        },
    },
    "root": {"handlers": ["console"], "level": "INFO"},
    "loggers": {
        "django.request": {"level": "ERROR"},
        "django.security.DisallowedHost": {"level": "ERROR"},
    },
}
