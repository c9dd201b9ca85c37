"""Addresses of systems, operations and permissions."""

from django.urls import path

from apps.connectors import views
from apps.connectors.api import calls, connectors, imports, inside, operations, permissions, requests, secrets
from apps.connectors.views import calling, editing
from apps.connectors.views import imports as import_views

pages = [
    path("connectors/", views.connectors, name="connectors"),
    path("new-connector/", calling.new_connector, name="new-connector"),
    path("connectors/<slug:slug>/", views.connector, name="connector"),
    path("connectors/<slug:slug>/edit/", editing.edit_connector, name="edit"),
    path("connectors/<slug:slug>/address/", calling.edit_address, name="edit-address"),
    path("connectors/<slug:slug>/secret/", views.rotate, name="rotate"),
    path("connectors/<slug:slug>/secret/older/", views.drop_older, name="drop-older"),
    path("connectors/<slug:slug>/inside/", views.decide_inside, name="inside"),
    path("connectors/<slug:slug>/state/", views.move, name="move"),
    path("connectors/<slug:slug>/probe/", views.probe, name="probe"),
    path("connectors/<slug:slug>/import/", import_views.import_document, name="import"),
    path("connectors/<slug:slug>/review/", import_views.confirm, name="confirm"),
    path("connectors/<slug:slug>/operations/<str:operation>/review/", import_views.review, name="review"),
    path("connectors/<slug:slug>/operations/<str:operation>/edit/", editing.edit_operation, name="edit-operation"),
    path("connectors/<slug:slug>/operations/<str:operation>/call/", calling.edit_call, name="edit-call"),
    path("connectors/<slug:slug>/operations/<str:operation>/state/", views.move_operation, name="move-operation"),
]

endpoints = [
    path("connectors/", connectors.Connectors.as_view(), name="connectors"),
    path("connectors/<slug:slug>/", connectors.ConnectorDetail.as_view(), name="connector"),
    path("connectors/<slug:slug>/state/", connectors.ConnectorStateView.as_view(), name="connector-state"),
    path("connectors/<slug:slug>/secret/", secrets.ConnectorSecretView.as_view(), name="connector-secret"),
    path("connectors/<slug:slug>/secrets/", secrets.ConnectorSecrets.as_view(), name="connector-secrets"),
    path("connectors/<slug:slug>/secret/older/", secrets.OlderSecretView.as_view(), name="connector-older-secret"),
    path("connectors/<slug:slug>/calls/", calls.ConnectorCalls.as_view(), name="connector-calls"),
    path("connectors/<slug:slug>/inside/", inside.ConnectorInside.as_view(), name="connector-inside"),
    path("connectors/<slug:slug>/import/", imports.ConnectorImport.as_view(), name="connector-import"),
    path("me/operations/", operations.MyOperationsView.as_view(), name="my-operations"),
    path("me/access-requests/", requests.OwnAccessRequests.as_view(), name="own-access-requests"),
    path("access-requests/", requests.AccessRequests.as_view(), name="access-requests"),
    path("access-requests/<uuid:request_id>/grant/", requests.AccessRequestGrant.as_view(), name="grant-access"),
    path("access-requests/<uuid:request_id>/refuse/", requests.AccessRequestRefusal.as_view(), name="refuse-access"),
    path("operations/", operations.Operations.as_view(), name="operations"),
    path("operations/<str:slug>/", operations.OperationDetail.as_view(), name="operation"),
    path("operations/<str:slug>/state/", operations.OperationStateView.as_view(), name="operation-state"),
    path("operations/<str:slug>/review/", imports.OperationReview.as_view(), name="operation-review"),
    path("agents/<slug:slug>/operations/", permissions.AgentOperations.as_view(), name="agent-operations"),
    path(
        "agents/<slug:slug>/operations/<str:operation>/", permissions.AgentOperation.as_view(), name="agent-operation"
    ),
]
