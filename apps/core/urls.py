"""Pages that belong to no app: the browser's complaints, and the style guide where one may look at it."""

from django.conf import settings
from django.urls import URLPattern, path

from apps.core import views

pages: list[URLPattern] = [path("csp-report/", views.csp_report, name="csp_report")]
if settings.DEBUG or getattr(settings, "ACP_DEMO", False):
    pages += [path("styleguide/", views.styleguide, name="styleguide")]
endpoints: list[URLPattern] = []
