"""All settings. Everything that differs between machines comes from the environment (docs/settings.md)."""

import os
import sys
from pathlib import Path

import django_stubs_ext
from django.core.exceptions import ImproperlyConfigured

from apps.agents.rules import ActionState, AgentState, ChangeKind, EffectClass, Execution
from apps.connectors.rules import ConnectorState, ExecutedBy
from apps.halts.rules import BreakerChangeKind, HaltScope
from apps.kpis.rules.goals import BaselineState
from apps.notifications.rules import CHOICES, Channel, Timing
from apps.oversight.rules import BulkVerdict, EscalationState, JobState, Kind, VoteVerdict
from apps.oversight.rules.access_reviews import LineState, ReviewState, RightKind
from apps.policies.rules import PROPOSABLE, PolicyState, ProposalState
from apps.policies.rules.simulations import SimulationState
from apps.policies.rules.waivers import WaiverState
from apps.workflows.rules.interrupts import Progress
from apps.workflows.rules.states import RunState
from controlplane import embedded, environment, logs
from controlplane.celery import app as celery_app  # whoever has the settings can wake the workers
from controlplane.reactions import EMERGENCY_REACTIONS, LIVE_TOPICS, PROJECTIONS, REACTIONS, with_traces
from controlplane.schedule import JOBS, LANES, LANES_BEHIND, LANES_FIRST

django_stubs_ext.monkeypatch()  # Django's generics can be named in annotations at run time

__all__ = [
    "EMERGENCY_REACTIONS",
    "JOBS",
    "LANES",
    "LANES_BEHIND",
    "LANES_FIRST",
    "LIVE_TOPICS",
    "PROJECTIONS",
    "REACTIONS",
    "celery_app",
]

BASE_DIR = Path(__file__).resolve().parent.parent
ACP_DATA_DIR = Path(os.environ.get("ACP_DATA_DIR") or BASE_DIR / ".data").resolve()
ACP_ENVIRONMENT = os.environ.get("ACP_ENVIRONMENT", "development")
IN_PRODUCTION = ACP_ENVIRONMENT == "production"
ACP_DEMO = os.environ.get("ACP_DEMO", "") == "1"
if ACP_DEMO and IN_PRODUCTION:
    raise ImproperlyConfigured("ACP_DEMO=1 lets anybody sign in as anybody: production does not start with it.")
if ACP_ENVIRONMENT not in {"development", "production"}:
    raise ImproperlyConfigured("ACP_ENVIRONMENT is development or production.")


def _secret(name: str, development: str) -> str:
    if value := os.environ.get(name):
        return value
    if IN_PRODUCTION:
        raise ImproperlyConfigured(f"Set {name}: production does not start on a default secret.")
    return development


STAYS = Path(sys.argv[0]).name != "manage.py" or sys.argv[1:2] == ["run_scheduler"]
"""Whether this process serves on. A command does one thing: it needs no pool, and no patience with a dead server."""


_found = embedded.addresses(ACP_DATA_DIR)
DATABASE_URL = os.environ.get("DATABASE_URL") or (_found.database_url if _found else "")
DATABASE_OWNER_URL = os.environ.get("DATABASE_OWNER_URL") or (_found.owner_url if _found else "")
REDIS_URL = os.environ.get("REDIS_URL") or (_found.redis_url if _found else "redis://127.0.0.1:6379/0")
OWNER_COMMANDS = {"migrate", "sqlmigrate"}
"""Commands that run as the owner of the tables; everything else runs as the application's own role."""
AS_OWNER = len(sys.argv) > 1 and sys.argv[1] in OWNER_COMMANDS
LEDGER_IS_PROTECTED = bool(DATABASE_OWNER_URL) and DATABASE_OWNER_URL != DATABASE_URL
if IN_PRODUCTION and not (DATABASE_URL and LEDGER_IS_PROTECTED):
    raise ImproperlyConfigured(
        "Set DATABASE_URL (the application's role) and DATABASE_OWNER_URL (the owner's): otherwise the ledger is not"
        " protected from the application itself."
    )

DATABASES = {
    "default": environment.database(
        (DATABASE_OWNER_URL if AS_OWNER else DATABASE_URL) or "postgresql://nobody@127.0.0.1:1/none", stays=STAYS
    )
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "core_cache",
        "OPTIONS": {"MAX_ENTRIES": 100_000},  # at Django's 300, strangers would push out what limits them
    }
}

SECRET_KEY = _secret("SECRET_KEY", "development-only-" + "0" * 50)
ACP_ENCRYPTION_KEY = os.environ.get("ACP_ENCRYPTION_KEY", "")
ACP_ENCRYPTION_KEY_FILE = os.environ.get("ACP_ENCRYPTION_KEY_FILE", "")
if IN_PRODUCTION and not (ACP_ENCRYPTION_KEY or ACP_ENCRYPTION_KEY_FILE):
    raise ImproperlyConfigured("Set ACP_ENCRYPTION_KEY or ACP_ENCRYPTION_KEY_FILE: it seals the connectors' secrets.")
DEBUG = False
ALLOWED_HOSTS = [host for host in os.environ.get("ALLOWED_HOSTS", "").split(",") if host] or (
    [] if IN_PRODUCTION else ["*"]
)
ACP_EGRESS_PORTS = os.environ.get("ACP_EGRESS_PORTS") or "80,443,1024-65535"
ACP_MAIL_PORTS = os.environ.get("ACP_MAIL_PORTS") or "25,465,587,1024-65535"
ACP_SQL_PORTS = os.environ.get("ACP_SQL_PORTS") or "1024-65535"
TRUSTED_PROXIES = environment.networks("ACP_TRUSTED_PROXIES")
"""Our own proxies: what they wrote into X-Forwarded-For is believed, of nobody else."""
CSRF_TRUSTED_ORIGINS = [origin for origin in os.environ.get("CSRF_TRUSTED_ORIGINS", "").split(",") if origin]

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.admin",
    "guardian",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "django_htmx",
    "rest_framework",
    "drf_spectacular",
    "apps.core",
    "apps.audit",
    "apps.access",
    "apps.halts",
    "apps.classification",
    "apps.agents",
    "apps.policies",
    "apps.connectors",
    "apps.oversight",
    "apps.workflows",
    "apps.telemetry",
    "apps.kpis",
    "apps.notifications",
    "apps.configuration",
    "apps.console",
    "apps.demo",
]
INSTALLED_APPS = [
    app
    for app in INSTALLED_APPS
    if not app.startswith("apps.") or (BASE_DIR / app.replace(".", "/") / "__init__.py").exists()
]

MIDDLEWARE = [
    "apps.core.middleware.RequestIdMiddleware",
    "apps.core.middleware.SecurityHeadersMiddleware",
    "apps.core.middleware.SessionEndedMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "apps.core.middleware.DomainErrorMiddleware",
    "apps.access.enrolment.SecondFactorMiddleware",
    "apps.core.middleware.ReadOnceMiddleware",
    "apps.core.middleware.SessionSeenMiddleware",
]
ROOT_URLCONF = "controlplane.urls"
WSGI_APPLICATION = "controlplane.wsgi.application"
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
                "apps.core.context.navigation",
            ],
        },
    }
]

AUTH_USER_MODEL = "core.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {
        "NAME": "apps.access.passwords.OwnWordsValidator",
        "OPTIONS": {"words": environment.password_words(os.environ)},
    },
]
ANONYMOUS_USER_NAME = None
GUARDIAN_MONKEY_PATCH_USER = False
SILENCED_SYSTEM_CHECKS = ["guardian.W001"]  # object grants are asked for by the gate, not by has_perm
GATE_SCOPES = "apps.access.selectors.unit_scopes_for"
MOVES_WEIGHED = "apps.policies.selectors.moves.left_for"
MOVES_FOLLOWED = "apps.policies.services.moves.take_along"
RUN_ELSEWHERE = "apps.kpis.views.simulated_run"
WEEKLY_REPORT = "apps.kpis.services.letters.write_report"
RUN_TRACE = "apps.kpis.selectors.spans_of_run_for"
ACTION_VEIL = "apps.workflows.selectors.veils.veil_before"
AGENT_RECORD = "apps.oversight.selectors.track_record_of"
WORKFLOW_RIGHTS = "apps.workflows.services.rights.RIGHTS"
AGENT_TRIAL = "apps.workflows.services.agent_cases.trial_of"
POLICY_OPERATIONS = "apps.connectors.selectors.named.systems_named_for"
POLICY_STEPS = "apps.workflows.selectors.named.steps_named_for"
POLICY_IRREVERSIBLE = "apps.connectors.selectors.irreversible_operations"
POLICY_HOMES = "apps.connectors.selectors.operation_homes"
POLICY_WORKFLOWS = "apps.workflows.selectors.workflows_in_use"
POLICY_HINDSIGHT = "apps.oversight.selectors.hindsight.hindsight_of"
POLICY_PACES = "apps.oversight.selectors.hindsight.paces_of"
ON_REFUSAL = "apps.audit.services.record_refusal"
ON_STRANGER = "apps.audit.services.record_stranger"
NAVIGATION_PERMISSIONS = "apps.console.selectors.permissions_held_by"
NAVIGATION_HALTS = "apps.halts.selectors.engaged_for"
NAVIGATION_EMERGENCIES = "apps.access.selectors.open_emergencies_for"
NAVIGATION_UNSEEN = "apps.notifications.selectors.unseen_count_for"
ON_SESSION_SEEN = "apps.access.services.note_seen"
ON_BROWSER_LEFT = "apps.notifications.services.leave_browser"
NAVIGATION_COUNTS = {"inbox": "apps.oversight.selectors.counts_for"}
DEMO_PEOPLE = "apps.demo.selectors.people_for"
LOGIN_URL = "/accounts/login/"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_ADAPTER = "apps.access.accounts.AccountAdapter"
ACCOUNT_FORMS = {"login": "apps.access.forms.SignInForm"}
OIDC_SCHEMES = ("https://",) if IN_PRODUCTION else ("https://", "http://127.0.0.1:", "http://localhost:")
OIDC_PROVIDERS = environment.identity_providers(os.environ, OIDC_SCHEMES)
"""Identity providers by slug: name, issuer, client_id, secret, domains, strong."""
SAML_PROVIDERS = environment.saml_providers(os.environ, OIDC_SCHEMES, OIDC_PROVIDERS)
"""Those that speak SAML: name, issuer, url, certificates, email, domains, strong."""
MFA_ADAPTER = "apps.access.accounts.SecondFactorAdapter"
MFA_FORMS = {
    "authenticate": "apps.access.forms.CodeForm",
    "reauthenticate": "apps.access.forms.CodeAgainForm",
    "authenticate_webauthn": "apps.access.forms.PasskeyForm",
    "reauthenticate_webauthn": "apps.access.forms.PasskeyAgainForm",
    "login_webauthn": "apps.access.forms.PasskeyAloneForm",
    "add_webauthn": "apps.access.forms.AddPasskeyForm",
    "edit_webauthn": "apps.access.forms.NamePasskeyForm",
}
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "email*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False  # nobody signs up, and strangers get no mail of ours
ACCOUNT_SESSION_REMEMBER = ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_RATE_LIMITS = {
    "login": "60/m/ip",
    "login_failed": "5/5m/key",  # codes of second factors, by person
    "guess_at_place": "5/5m/key",  # a name from one address, or from one browser that is known
    "guess_from_address": "10/m/ip",
    "passkey_challenge": "60/m/ip",
    "single_sign_on": "60/m/ip",
    "guess_at_name": "100/h/key",  # a name from wherever nobody of that name signed in before
}
"""How often passwords and codes are guessed at; how they work together: ``apps.access.accounts``."""
ACP_SECOND_FACTOR = environment.second_factor(os.environ, "deciders" if IN_PRODUCTION else "offered")
"""Of whom a second factor is demanded: ``apps.access.enrolment``."""
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_WEBAUTHN_USER_VERIFICATION = "required"  # a passkey is two factors: what one has, and its PIN or a finger
MFA_RATE_LIMITS = {"webauthn_login": "60/m/ip"}
MFA_ALLOW_UNVERIFIED_EMAIL = True  # whose address is whose says who manages access, nobody by themselves
MFA_TOTP_ISSUER = "Autonomy Control Plane"

SESSION_ENGINE = "apps.access.sessions"
SESSION_COOKIE_AGE = 8 * 3600
SESSION_SAVE_EVERY_REQUEST = False
COOKIE_PREFIX = "__Host-" if IN_PRODUCTION else ""
"""No neighbour under the same domain can set or overwrite a cookie of this name; browsers hold it to https and "/"."""
SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = f"{COOKIE_PREFIX}sessionid", f"{COOKIE_PREFIX}csrftoken"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = IN_PRODUCTION
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True  # pages carry the token themselves: no script reads a cookie
CSRF_FAILURE_VIEW = "apps.core.views.not_from_here"
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"  # in no cookie of its own
SECURE_HSTS_SECONDS = 31_536_000 if IN_PRODUCTION else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = IN_PRODUCTION
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if IN_PRODUCTION else None
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024

MAIL = environment.mail(os.environ.get("EMAIL_URL", ""))
"""Where messages to people leave by mail; without a host none does, and the messages say so."""
if MAIL["host"]:
    EMAIL_HOST, EMAIL_PORT = MAIL["host"], MAIL["port"]
    EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = MAIL["username"], MAIL["password"]
    EMAIL_USE_SSL, EMAIL_USE_TLS = MAIL["use_ssl"], MAIL["use_tls"]
    DEFAULT_FROM_EMAIL = MAIL["sender"]
EMAIL_TIMEOUT = 10
ACP_URL = os.environ.get("ACP_URL", "" if IN_PRODUCTION else "http://127.0.0.1:8000").rstrip("/")
"""Under which address people reach the plane: what links in mails and chats begin with."""
if MAIL["host"] and not ACP_URL:
    raise ImproperlyConfigured("Set ACP_URL with EMAIL_URL: the links in mails lead to it.")

PUSH_SERVICES = "fcm.googleapis.com,updates.push.services.mozilla.com,*.notify.windows.com,*.push.apple.com"
"""Where Chrome, Firefox, Edge and Safari are told."""
ACP_PUSH_HOSTS = environment.push_hosts(os.environ.get("ACP_PUSH_HOSTS") or PUSH_SERVICES)
PUSH_CONTACT = ACP_URL if ACP_URL.startswith("https://") else f"mailto:{MAIL['sender'] or 'plane@localhost'}"
"""Whom a push service may ask about what we send (RFC 8292, 2.1)."""
PUSH_RECEIVER_OF_TESTS = ""
"""An origin on this machine that may be called instead; tests set it, and no environment variable does."""

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English")]
LOCALE_PATHS = [BASE_DIR / "locale"]
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"
AGENT_LINK_HOSTS = tuple(host for host in os.environ.get("ACP_AGENT_LINK_HOSTS", "").split(",") if host)
ACP_REPORTING_TZ = os.environ.get("ACP_REPORTING_TZ", "UTC")
ACP_SPAN_DAYS = int(os.environ.get("ACP_SPAN_DAYS", "30"))
"""For how many days spans are kept that agents report."""

ACP_METRICS_TOKEN = environment.token("ACP_METRICS_TOKEN", os.environ)
"""Whoever has it reads /metrics and /metrics/kpi; without one there is neither."""
if ACP_METRICS_TOKEN:
    MIDDLEWARE.insert(0, "apps.core.middleware.counting.RequestCountsMiddleware")
SENDS_TRACES = environment.sends_traces(os.environ)
TRUSTS_TRACEPARENT = os.environ.get("ACP_TRUST_TRACEPARENT", "") == "1"
"""Whether callers decide by their ``traceparent`` which of our spans are kept."""
if SENDS_TRACES:
    MIDDLEWARE.insert(0, "apps.core.middleware.traced.TracedMiddleware")
    REACTIONS = with_traces(REACTIONS)

STATIC_URL = "/static/"
STATIC_ROOT = ACP_DATA_DIR / "static"
STATIC_ROOT.mkdir(parents=True, exist_ok=True)  # empty until collected; WhiteNoise warns when it is missing
STATICFILES_DIRS = [BASE_DIR / "static"]
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.FileSystemFinder",
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
    "apps.core.finders.PlotlyFinder",
]
WHITENOISE_USE_FINDERS = not IN_PRODUCTION
WHITENOISE_ROOT = BASE_DIR / "static/root"  # a service worker serves its own folder and what is below: here, everything

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "apps.agents.authentication.AgentKeyAuthentication",
        "apps.access.authentication.PersonalTokenAuthentication",
        "apps.core.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PARSER_CLASSES": ["apps.core.authentication.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "EXCEPTION_HANDLER": "apps.core.api.problem_response",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Autonomy Control Plane",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": [],
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "AccessReviewStateEnum": [state.value for state in ReviewState],
        "ActionStateEnum": [state.value for state in ActionState],
        "AgentStateEnum": [state.value for state in AgentState],
        "ChangeKindEnum": [kind.value for kind in ChangeKind],
        "BaselineStateEnum": [state.value for state in BaselineState],
        "BudgetChangeKindEnum": [kind.value for kind in BreakerChangeKind],  # the same words for both
        "BulkVerdictEnum": [verdict.value for verdict in BulkVerdict],
        "EscalationStateEnum": [state.value for state in EscalationState],
        "EscalationKindEnum": [kind.value for kind in Kind],
        "HaltScopeEnum": [scope.value for scope in HaltScope],
        "InterruptStateEnum": [state.value for state in Progress],
        "JobStateEnum": [state.value for state in JobState],
        "PolicyStateEnum": [state.value for state in PolicyState],
        "ProposalStateEnum": [state.value for state in ProposalState],
        "SimulationStateEnum": [state.value for state in SimulationState],
        "WaiverStateEnum": [state.value for state in WaiverState],
        "EffectEnum": [effect.value for effect in EffectClass],
        "ProposableEffectEnum": [effect.value for effect in PROPOSABLE],
        "VoteVerdictEnum": [verdict.value for verdict in VoteVerdict],
        "ReviewedRightStateEnum": [state.value for state in LineState],
        "RightKindEnum": [kind.value for kind in RightKind],
        "RunStateEnum": [state.value for state in RunState],
        "ExecutionEnum": [execution.value for execution in Execution],
        "ExecutedByEnum": [execution.value for execution in ExecutedBy],
        "TimingEnum": [timing.value for timing in Timing],
        "InAppTimingEnum": [timing.value for timing in CHOICES[Channel.IN_APP]],
        "ConnectorStateEnum": [state.value for state in ConnectorState],
    },
}

CELERY_BROKER_URL = REDIS_URL.replace("unix://", "redis+socket://", 1)
CELERY_BROKER_TRANSPORT_OPTIONS = {"socket_timeout": 5, "socket_connect_timeout": 1}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = "UTC"

LOGGING = logs.configure(os.environ.get("ACP_LOG_FORMAT") or "json")
