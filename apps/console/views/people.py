"""People: made, described anew, ended and let in again, by whoever manages access everywhere."""

from collections.abc import Callable

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from apps.access.models import DirectoryAccount
from apps.access.selectors import person_for, roles_for, units_for
from apps.access.services import bring_back_person, change_person, end_person, make_person
from apps.console.forms import NewPersonForm, PersonForm, ReasonForm
from apps.console.selectors.access import leaving_of
from apps.core.errors import ConflictError, InvalidError, NotAllowedError
from apps.core.gate import scope_for
from apps.core.http import Request
from apps.core.models import User

PERM = "access.manage_access"


def _require_everywhere(request: Request) -> None:
    if not scope_for(request.user, PERM).everywhere:
        raise NotAllowedError(
            _("People belong to no unit, so only who manages access everywhere makes or changes them.")
        )


def _saved(form: forms.Form, command: Callable[[], User]) -> User | None:
    """Carry it out; None where it was refused, which the form then says."""
    try:
        return command()
    except (ConflictError, InvalidError) as error:
        for name, texts in (error.errors or {"": [str(error.message)]}).items():
            form.add_error(name if name in form.fields else None, texts)
    return None


@require_http_methods(["GET", "POST"])
def new_person(request: Request) -> HttpResponse:
    """Make a person, with a first role if there is to be one."""
    _require_everywhere(request)
    sent = request.POST if request.method == "POST" else None
    form = NewPersonForm(sent, roles=roles_for(request.user), units=units_for(request.user))
    if form.is_valid() and (made := _saved(form, lambda: make_person(request.user, **form.cleaned_data))):
        messages.success(request, _("Made. What they may do stands below; how they come in, they have to be told."))
        return redirect("console:person", username=made.username)
    ways = {
        "sends_mail": bool(settings.MAIL["host"]),
        "is_sent_on": bool(settings.OIDC_PROVIDERS or settings.SAML_PROVIDERS),
    }
    return render(request, "console/person_new.html", {"form": form, **ways}, status=422 if form.errors else 200)


@require_http_methods(["GET", "POST"])
def edit_person(request: Request, username: str) -> HttpResponse:
    """Say anew what somebody is called, and their address."""
    _require_everywhere(request)
    person = person_for(request.user, username)
    sent = request.POST if request.method == "POST" else None
    form = PersonForm(sent, initial={"name": person.name, "email": person.email})
    if form.is_valid() and _saved(form, lambda: change_person(request.user, user=person, **form.cleaned_data)):
        messages.success(request, _("Saved."))
        return redirect("console:person", username=username)
    is_of_directory = DirectoryAccount.objects.filter(user=person, removed_at=None).exists()
    context = {"person": person, "form": form, "is_of_directory": is_of_directory}
    return render(request, "console/person_edit.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "POST"])
def leave(request: Request, username: str) -> HttpResponse:
    """What follows when somebody leaves; sent with a reason: they have left."""
    _require_everywhere(request)
    person = person_for(request.user, username)
    form = ReasonForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        end_person(request.user, user=person, reason=form.cleaned_data["reason"])
        messages.success(request, _("They have left: nothing of theirs opens anything from the next request on."))
        return redirect("console:person", username=username)
    context = {"person": person, "form": form, "follows": leaving_of(request.user, person)}
    return render(request, "console/person_leave.html", context, status=422 if form.errors else 200)


@require_POST
def come_back(request: Request, username: str) -> HttpResponse:
    """Let somebody in again who has left."""
    bring_back_person(request.user, user=person_for(request.user, username))
    messages.success(request, _("They are back, with no role. What they held before stays over."))
    return redirect("console:person", username=username)
