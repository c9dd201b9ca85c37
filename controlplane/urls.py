"""Every address of the house. Each app names its own pages (from the root) and endpoints (below /api/v1/)."""

from importlib import import_module
from importlib.util import find_spec

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.decorators import login_not_required
from django.urls import URLPattern, URLResolver, include, path
from drf_spectacular.views import SpectacularAPIView

from apps.access.urls import doors
from apps.console.views.docs import docs, problems
from apps.console.views.home import back_office_door
from apps.core.api import NowhereView
from controlplane import probes

handler500 = "apps.core.middleware.broken"
urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", login_not_required(probes.healthz), name="healthz"),
    path("readyz", login_not_required(probes.readyz), name="readyz"),
    path("live/session", probes.session, name="live-session"),
    path("accounts/", include(doors)),
    path("accounts/", include("allauth.urls")),
    path("admin/login/", back_office_door, name="admin-login"),
    path("admin/", admin.site.urls),
    path("api/docs/", docs, name="docs"),
    path("help/problems/", problems, name="problems"),
]
endpoints: list[URLPattern | URLResolver] = [
    path("schema/", login_not_required(SpectacularAPIView.as_view()), name="schema"),
]
for app in settings.INSTALLED_APPS:
    if app.startswith("apps.") and find_spec(f"{app}.urls"):
        urls = import_module(f"{app}.urls")
        label = app.removeprefix("apps.")
        urlpatterns.append(path("", include((getattr(urls, "pages", []), label))))
        endpoints.append(path("", include((getattr(urls, "endpoints", []), f"{label}-api"))))
endpoints.append(path("<path:rest>", NowhereView.as_view()))
urlpatterns.insert(0, path("api/v1/", include(endpoints)))
