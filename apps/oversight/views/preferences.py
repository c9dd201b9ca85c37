"""A person's own views of the inbox: kept under a name, and forgotten."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from apps.core.errors import ConflictError, InvalidError
from apps.core.http import Request
from apps.oversight import services
from apps.oversight.forms import InboxFilter, SavedViewForm
from apps.oversight.views.detail import query_of
from apps.oversight.views.inbox import inbox_page

UNFIT = 422


@require_POST
def keep_view(request: Request) -> HttpResponse:
    """Keep the filters of this address under a name."""
    filters, form = InboxFilter(request.GET), SavedViewForm(request.POST)
    if form.is_valid():
        try:
            services.save_view(request.user, name=form.cleaned_data["name"], query=filters.query)
        except InvalidError as error:
            for text in [text for texts in error.errors.values() for text in texts]:
                form.add_error("name", text)
        except ConflictError as error:
            form.add_error("name", str(error.message))
        else:
            return redirect(f"{reverse('oversight:inbox')}?{filters.query}")
    return inbox_page(request, filters, status=UNFIT, view_form=form)


@require_POST
def forget_view(request: Request, view_id: UUID) -> HttpResponse:
    """Forget one of one's own views; the list stays as it is."""
    services.delete_view(request.user, view_id=view_id)
    messages.success(request, _("The view is gone; its items are not."))
    return redirect(f"{reverse('oversight:inbox')}{query_of(request)}")
