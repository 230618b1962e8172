"""Settings of the project, all of them from the environment; one file, no variants.

With nothing set this is a development system: SQLite and an embedded Valkey under ``.ansf/``.
``DATABASE_URL``, ``BROKER_URL`` and ``REDIS_URL`` name real services; once ``DATABASE_URL`` is
set ``DEBUG`` is off unless asked for, and ``SECRET_KEY`` has to be given.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from pathlib import Path
from typing import Any

import dj_database_url
from django.core.exceptions import ImproperlyConfigured

from ansf_platform import env

BASE_DIR = Path(__file__).resolve().parent.parent
STATE_DIR = Path(env.text("ANSF_STATE_DIR", str(BASE_DIR / ".ansf")))

DATABASE_URL = env.text("DATABASE_URL")
DEBUG = env.boolean("DEBUG", default=not DATABASE_URL)


def _development_secret() -> str:
    """One random key per state directory, so that sessions outlive a restart of `up`."""
    path = STATE_DIR / "secret-key"
    try:
        if not path.exists():
            STATE_DIR.mkdir(parents=True, exist_ok=True, mode=0o700)
            with suppress(FileExistsError), path.open("x", encoding="ascii") as file:
                path.chmod(0o600)
                file.write(secrets.token_urlsafe(48))
        return path.read_text(encoding="ascii")
    except OSError as error:
        message = f"{path} cannot be kept ({error.strerror}): set ANSF_STATE_DIR to another place"
        raise ImproperlyConfigured(message) from error


SECRET_KEY = env.text("SECRET_KEY")
if not SECRET_KEY:
    if not DEBUG:
        message = (
            "SECRET_KEY is not set and DEBUG is off: set SECRET_KEY (or SECRET_KEY_FILE) "
            "to 50 random characters, or DEBUG=1 for development"
        )
        raise ImproperlyConfigured(message)
    SECRET_KEY = _development_secret()

ALLOWED_HOSTS = list(env.names("ALLOWED_HOSTS", ("127.0.0.1", "localhost", "[::1]")))
CSRF_TRUSTED_ORIGINS = list(env.names("CSRF_TRUSTED_ORIGINS"))

# Foreign Django apps, and modules of Celery tasks, that join this project unchanged.
ANSF_APPS = list(env.names("ANSF_APPS"))
ANSF_HANDLERS = list(env.names("ANSF_HANDLERS"))

INSTALLED_APPS = [
    "django.contrib.admin.apps.SimpleAdminConfig",  # urls.py discovers: commands need no admin
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "django_htmx",
    "ansf_platform",
    "ansf_platform.accounts",
    "ratelimit",
    "gateway",
    "patterns",
    "coordination",
    "workers",
    "healthchecks",
    "dashboard",
    "benchmarks",
    *ANSF_APPS,
]

MIDDLEWARE = [
    "ansf_platform.requests.RequestIdMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "ansf_platform.requests.ContentSecurityPolicyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "ansf_platform.urls"
ASGI_APPLICATION = "ansf_platform.asgi.application"
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "ansf_platform" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

SQLITE_OPTIONS = {
    # A reader must never upgrade to a writer half-way: SQLite answers that with an immediate
    # "database is locked" that no timeout helps against.
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,  # seconds
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-16000;",
}


def database_from(url: str) -> dict[str, Any]:
    """The database at a ``postgresql://`` or ``sqlite:///`` URL, as this project uses it."""
    try:
        config: dict[str, Any] = dict(dj_database_url.parse(url))
    except ValueError as error:
        # Neither the URL nor the library's message about it: both may hold the password.
        message = "DATABASE_URL cannot be read: use postgresql://user:password@host:5432/name"
        raise ImproperlyConfigured(message) from error
    if config["ENGINE"].endswith("sqlite3"):
        config["ENGINE"] = "ansf_platform.sqlite"
        config["OPTIONS"] = SQLITE_OPTIONS
    else:
        config.setdefault("OPTIONS", {}).setdefault("connect_timeout", 5)
    # Kept for the life of a process, checked once per request or envelope.
    config["CONN_MAX_AGE"] = None
    config["CONN_HEALTH_CHECKS"] = True
    return config


DATABASES = {"default": database_from(DATABASE_URL or f"sqlite:///{STATE_DIR / 'ansf.sqlite3'}")}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

BROKER_URL = env.text("BROKER_URL")
REDIS_URL = env.text("REDIS_URL")

USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
USE_I18N = False

STATIC_URL = "static/"
STATIC_ROOT = Path(env.text("STATIC_ROOT", str(STATE_DIR / "static")))
WHITENOISE_USE_FINDERS = DEBUG
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "/"

AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
BEHIND_TLS = env.boolean("ANSF_BEHIND_TLS", default=False)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = BEHIND_TLS
if BEHIND_TLS:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_HSTS_SECONDS = 31_536_000
    SECURE_SSL_REDIRECT = True

DATA_UPLOAD_MAX_MEMORY_SIZE = 32 * 1024 * 1024  # bytes: a bulk of 10 000 tasks

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "ansf_platform.accounts.authentication.TokenAuthentication",
        "ansf_platform.accounts.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["ansf_platform.accounts.permissions.HasScope"],
    "DEFAULT_THROTTLE_CLASSES": ["ratelimit.throttle.PolicyThrottle"],
    # Proxies in front that each add the address before them to X-Forwarded-For. Without any the
    # header is whatever a caller writes, and no address to count by.
    "NUM_PROXIES": env.integer("ANSF_PROXIES", 0),
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "ansf_platform.problems.exception_handler",
    "UNAUTHENTICATED_USER": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "ANSF",
    "DESCRIPTION": "Swarms of agents on Celery: define, submit, watch.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SERVE_INCLUDE_SCHEMA": False,
}

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"()": "ansf_platform.log.LineFormatter"},
        "json": {"()": "ansf_platform.log.JsonFormatter"},
    },
    "handlers": {
        "stderr": {
            "class": "logging.StreamHandler",
            "formatter": "json" if env.boolean("ANSF_LOG_JSON", default=False) else "line",
        },
    },
    "root": {"handlers": ["stderr"], "level": env.text("ANSF_LOG_LEVEL", "INFO")},
    "loggers": {
        "django.server": {"handlers": ["stderr"], "propagate": False},
        "httpx": {"level": "WARNING"},  # it would tell of every call of a model
    },
}

# --- coordination -------------------------------------------------------------------------
ANSF: dict[str, Any] = {
    # Waited seconds that lift a task's effective priority by one; 0 turns aging off.
    "AGING_STEP_SECONDS": env.number("ANSF_AGING_STEP_SECONDS", 60.0),
    # Envelopes in the broker per worker slot: deep enough to keep a slot busy, shallow enough
    # that priority, fairness, cancel and limits still apply to what waits.
    "WINDOW_PER_SLOT": env.integer("ANSF_WINDOW_PER_SLOT", 3),
    # Limits: how long a decision waits for Redis, and among how many processes a policy's quota
    # is divided while Redis is away.
    "LIMIT_BUDGET_MS": env.number("ANSF_LIMIT_BUDGET_MS", 2.0),
    "LIMIT_WORKERS": env.integer("ANSF_LIMIT_WORKERS", 8),
    "RETENTION_DAYS": env.number("ANSF_RETENTION_DAYS", 30.0),
    "BLOB_DIR": env.text("ANSF_BLOB_DIR"),  # empty: blobs live in a table
    # Other hosts whose namespaces may be searched from here: east=https://east.example,west=…
    "PATTERN_HOSTS": env.names("ANSF_PATTERN_HOSTS"),
    "PATTERN_TOKEN": env.text("ANSF_PATTERN_TOKEN"),  # of all of them, with patterns:read
    "PATTERN_CACHE_MB": env.integer("ANSF_PATTERN_CACHE_MB", 4096),  # indexes on the disk
    "ROUTE_MODEL": env.text("ANSF_ROUTE_MODEL"),  # empty: the one that is shipped
    "FLOWER_URL": env.text("ANSF_FLOWER_URL"),  # where the pages' link to Flower leads
    "ALLOW_PRIVATE_FETCH": env.boolean("ANSF_ALLOW_PRIVATE_FETCH", default=False),
}
