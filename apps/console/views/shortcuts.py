"""A person's own keys: moved, switched off, put back."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from apps.console.forms import ShortcutsForm
from apps.core.errors import InvalidError
from apps.core.http import Request
from apps.core.services import keep_shortcuts
from apps.core.shortcuts import KNOWN

UNFIT = 422


@require_http_methods(["GET", "HEAD", "POST"])
def shortcuts(request: Request) -> HttpResponse:
    """Every key with its field; a conflict is refused beside the field that makes it."""
    own = request.user.shortcuts
    if request.method != "POST":
        return render(request, "console/shortcuts.html", {"form": ShortcutsForm(own=own)})
    if "reset" in request.POST:
        keep_shortcuts(request.user, keys={}, off=False)
        messages.success(request, _("Every key is what it was from the start."))
        return redirect(reverse("console:shortcuts"))
    form = ShortcutsForm(request.POST, own=own)
    if form.is_valid():
        try:
            keep_shortcuts(request.user, keys=form.keys, off=not form.cleaned_data["on"])
        except InvalidError as error:
            for key, texts in error.errors.items():
                form.add_error(KNOWN[key].field, texts[0])
        else:
            messages.success(request, _("Your keys are kept."))
            return redirect(reverse("console:shortcuts"))
    return render(request, "console/shortcuts.html", {"form": form}, status=UNFIT)
