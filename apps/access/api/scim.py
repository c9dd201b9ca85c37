"""SCIM 2.0 for directories (RFC 7643, 7644): ``/scim/v2/``. Errors, lists and media types are the RFC's, not ours."""

from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Model, QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from apps.access.authentication import PersonalTokenAuthentication
from apps.access.models import DirectoryAccount, DirectoryGroup, PersonalToken
from apps.access.rules import scim
from apps.access.selectors import accounts_for, directory_groups_for
from apps.access.services.directory import (
    change_person,
    forget_person,
    provision_person,
    remove_group,
    require_directory,
    save_group,
)
from apps.core.api import PlaneView, domain_error_of
from apps.core.authentication import StrictJSONParser
from apps.core.errors import ConflictError, InvalidError, MalformedError, NotFoundError

MEDIA_TYPE = "application/scim+json"
ASKED = {"filter", "startindex", "count", "attributes", "excludedattributes", "sortby", "sortorder", "aadoptscim062020"}
KINDS = {ConflictError: "uniqueness", InvalidError: "invalidValue", MalformedError: "invalidSyntax"}
"""What a refusal of ours is called there."""
LOOKUPS = {
    "User": {"userName": "user__username__iexact", "externalId": "external_id", "email": "user__email__iexact"},
    "Group": {"displayName": "name__iexact", "externalId": "external_id"},
}


class ScimParser(StrictJSONParser):
    """The same strict JSON under SCIM's name."""

    media_type = MEDIA_TYPE


class ScimRenderer(JSONRenderer):
    """JSON under SCIM's name."""

    media_type = MEDIA_TYPE


@extend_schema(exclude=True)
class ScimView(PlaneView):
    """An endpoint of SCIM: for a token that was made with the right to provision people, and for nothing else."""

    authentication_classes = [PersonalTokenAuthentication]
    parser_classes = [ScimParser, StrictJSONParser]
    renderer_classes = [ScimRenderer, JSONRenderer]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Whether this token may; before anything is looked up."""
        super().initial(request, *args, **kwargs)
        carried = request.auth.permissions if isinstance(request.auth, PersonalToken) else None
        require_directory(self.actor, carried)
        if unknown := [name for name in request.query_params if name.lower() not in ASKED]:
            raise InvalidError(errors={unknown[0][:80]: ["Unknown parameter."]})

    def handle_exception(self, exc: Exception) -> Response:
        """The RFC's error; a refused write leaves its line in the ledger as everywhere."""
        kind = exc.kind if isinstance(exc, scim.ScimError) else ""
        told = InvalidError(str(exc)) if isinstance(exc, scim.ScimError) else exc
        response = super().handle_exception(told)
        found = domain_error_of(told)
        if found is None:
            return response
        kind = kind or KINDS.get(type(found), "")
        if "userName" in found.errors:
            kind = "mutability"
        if response.has_header("WWW-Authenticate"):
            response["WWW-Authenticate"] = "Bearer"  # agents' tokens, which the API's own names, open nothing here
        response.status_code = 400 if isinstance(found, InvalidError) else found.status
        details = "; ".join(f"{name}: {' '.join(texts)}" for name, texts in found.errors.items())
        body = {"schemas": [scim.ERROR], "status": str(response.status_code), "detail": details or str(found.message)}
        response.data = {**body, "scimType": kind} if kind else body
        response.content_type = MEDIA_TYPE
        return response

    def given(self) -> dict[str, Any]:
        """The body, an object. Raises ScimError."""
        if not isinstance(self.request.data, dict):
            raise scim.ScimError("invalidSyntax", "The body is an object.")
        return self.request.data

    def asked(self, name: str) -> str | None:
        """A parameter of the query, however it is spelt."""
        said = {key.lower(): str(value) for key, value in self.request.query_params.items()}
        return said.get(name)

    def listed[M: Model](self, rows: QuerySet[M], kind: str, written: Any) -> Response:
        """A page of a list. Raises ScimError for a filter that is not understood."""
        wanted = scim.read_filter(self.asked("filter") or "", kind)
        for name, value in wanted.items():
            rows = rows.filter(**lookup(kind, name, value))
        first, most = scim.page_of(self.asked("startindex"), self.asked("count"))
        found = [written(row) for row in rows[first - 1 : first - 1 + most]]
        return Response(
            {
                "schemas": [scim.LISTED],
                "totalResults": rows.count(),
                "startIndex": first,
                "itemsPerPage": len(found),
                "Resources": found,
            }
        )


def lookup(kind: str, name: str, value: str) -> dict[str, Any]:
    """What a clause of a filter asks of the rows; an id that is none is nobody's."""
    if name not in {"id", "member"}:
        return {LOOKUPS[kind][name]: value}
    try:
        key = UUID(value)
    except ValueError:
        return {"pk__in": []}
    return {{"User": "user", "Group": "pk"}[kind] if name == "id" else "members": key}


def place(kind: str, key: object) -> str:
    """Where a resource is."""
    return f"{settings.ACP_URL}/scim/v2/{kind}s/{key}"


def meta(kind: str, key: object, row: Any) -> dict[str, Any]:
    """What SCIM says of each resource."""
    return {
        "resourceType": kind,
        "created": row.created_at,
        "lastModified": row.changed_at,
        "location": place(kind, key),
    }


def user_json(account: DirectoryAccount) -> dict[str, Any]:
    """A person as SCIM's core schema has one."""
    user = account.user
    found: dict[str, Any] = {
        "schemas": [scim.USER],
        "id": str(user.pk),
        "userName": user.username,
        "name": {"formatted": user.name},
        "displayName": user.name,
        "active": user.is_active,
        "emails": [{"value": user.email, "type": "work", "primary": True}] if user.email else [],
        "meta": meta("User", user.pk, account),
    }
    return {**found, "externalId": account.external_id} if account.external_id else found


def group_json(group: DirectoryGroup, *, members: bool = True) -> dict[str, Any]:
    """A group, with its members unless they are not wanted."""
    found: dict[str, Any] = {"schemas": [scim.GROUP], "id": str(group.pk), "displayName": group.name}
    if group.external_id:
        found["externalId"] = group.external_id
    if members:
        found["members"] = [
            {"value": str(user.pk), "display": user.name, "type": "User", "$ref": place("User", user.pk)}
            for user in group.members.order_by("username")
        ]
    return {**found, "meta": meta("Group", group.pk, group)}


class ScimUsers(ScimView):
    """``/scim/v2/Users``."""

    def get(self, request: Request) -> Response:
        """The people whom the directory brought, and nobody else."""
        return self.listed(accounts_for(self.actor), "User", user_json)

    def post(self, request: Request) -> Response:
        """Bring a person."""
        account = provision_person(self.actor, person=scim.read_person(self.given()))
        found = user_json(account)
        return Response(found, status=201, headers={"Location": found["meta"]["location"]})


class ScimUser(ScimView):
    """``/scim/v2/Users/{id}``."""

    def account(self, person_id: UUID) -> DirectoryAccount:
        """The person. Raises NotFoundError for one who is not the directory's."""
        if found := accounts_for(self.actor).filter(user=person_id).first():
            return found
        raise NotFoundError

    def get(self, request: Request, person_id: UUID) -> Response:
        """One person."""
        return Response(user_json(self.account(person_id)))

    def put(self, request: Request, person_id: UUID) -> Response:
        """Say anew who this is; without ``active`` they stay as they are."""
        person = scim.read_person(self.given())
        return Response(user_json(change_person(self.actor, account=self.account(person_id), person=person)))

    def patch(self, request: Request, person_id: UUID) -> Response:
        """Change what is named."""
        person = scim.read_person_patch(self.given())
        return Response(user_json(change_person(self.actor, account=self.account(person_id), person=person)))

    def delete(self, request: Request, person_id: UUID) -> Response:
        """Forget a person: they are ended, and stay in the ledger."""
        forget_person(self.actor, account=self.account(person_id))
        return Response(status=204)


class ScimGroups(ScimView):
    """``/scim/v2/Groups``."""

    def get(self, request: Request) -> Response:
        """The groups that the directory brought."""
        members = "members" not in (self.asked("excludedattributes") or "").lower().split(",")
        rows = directory_groups_for(self.actor)
        return self.listed(rows, "Group", lambda group: group_json(group, members=members))

    def post(self, request: Request) -> Response:
        """Bring a group."""
        group = save_group(self.actor, group=None, change=scim.read_group(self.given()))
        found = group_json(group)
        return Response(found, status=201, headers={"Location": found["meta"]["location"]})


class ScimGroup(ScimView):
    """``/scim/v2/Groups/{id}``."""

    def group(self, group_id: UUID) -> DirectoryGroup:
        """The group. Raises NotFoundError."""
        if found := directory_groups_for(self.actor).filter(pk=group_id).first():
            return found
        raise NotFoundError

    def get(self, request: Request, group_id: UUID) -> Response:
        """One group."""
        members = "members" not in (self.asked("excludedattributes") or "").lower().split(",")
        return Response(group_json(self.group(group_id), members=members))

    def put(self, request: Request, group_id: UUID) -> Response:
        """Say anew who is in it."""
        change = scim.read_group(self.given())
        return Response(group_json(save_group(self.actor, group=self.group(group_id), change=change)))

    def patch(self, request: Request, group_id: UUID) -> Response:
        """Change what is named: members come and go."""
        change = scim.read_group_patch(self.given())
        return Response(group_json(save_group(self.actor, group=self.group(group_id), change=change)))

    def delete(self, request: Request, group_id: UUID) -> Response:
        """Remove a group; its people lose what it alone gave them."""
        remove_group(self.actor, group=self.group(group_id))
        return Response(status=204)


class ScimConfig(ScimView):
    """``/scim/v2/ServiceProviderConfig``."""

    def get(self, request: Request) -> Response:
        """What is spoken here."""
        off = {"supported": False}
        return Response(
            {
                "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
                "patch": {"supported": True},
                "bulk": {**off, "maxOperations": 0, "maxPayloadSize": 0},
                "filter": {"supported": True, "maxResults": scim.MAX_COUNT},
                "changePassword": off,
                "sort": off,
                "etag": off,
                "authenticationSchemes": [
                    {"type": "oauthbearertoken", "name": "Bearer token", "description": "acp_pat_...", "primary": True}
                ],
                "meta": {"resourceType": "ServiceProviderConfig", "location": f"{settings.ACP_URL}{request.path}"},
            }
        )


class ScimCatalogue(ScimView):
    """``/scim/v2/ResourceTypes`` and ``/scim/v2/Schemas``, and each of them by its id."""

    entries: tuple[dict[str, Any], ...] = ()

    def get(self, request: Request, name: str = "") -> Response:
        """All of them, or one."""
        if name:
            found = next((entry for entry in self.entries if entry["id"] == name), None)
            if found is None:
                raise NotFoundError
            return Response(found)
        count = len(self.entries)
        body = {"schemas": [scim.LISTED], "totalResults": count, "startIndex": 1, "itemsPerPage": count}
        return Response({**body, "Resources": list(self.entries)})


class ScimResourceTypes(ScimCatalogue):
    """``/scim/v2/ResourceTypes``."""

    entries = scim.RESOURCE_TYPES


class ScimSchemas(ScimCatalogue):
    """``/scim/v2/Schemas``."""

    entries = scim.SCHEMAS


class ScimNowhere(ScimView):
    """Every address below ``/scim/v2/`` that is no endpoint."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Whoever may ask is told that there is nothing here, whatever the method."""
        super().initial(request, *args, **kwargs)
        raise NotFoundError

    def get(self, request: Request, rest: str) -> Response:
        """Never reached; it makes GET a method of this view."""
        raise NotFoundError
