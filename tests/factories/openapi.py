"""OpenAPI documents as a vendor would write them."""

from copy import deepcopy
from typing import Any

KEY = {"name": "Idempotency-Key", "in": "header", "required": True, "schema": {"type": "string"}}
BANK: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "Bank API", "version": "2"},
    "servers": [{"url": "https://bank.example/v2"}, {"url": "https://sandbox.bank.example/v2"}],
    "paths": {
        "/payments": {
            "post": {
                "operationId": "createPayment",
                "summary": "Pay somebody",
                "parameters": [
                    {"name": "Idempotency-Key", "in": "header", "required": True, "schema": {"type": "string"}}
                ],
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Payment"}}},
                },
                "responses": {"201": {"description": "paid"}},
            },
        },
        "/customers/{customer-id}": {
            "parameters": [{"name": "customer-id", "in": "path", "required": True, "schema": {"type": "string"}}],
            "get": {
                "operationId": "getCustomer",
                "parameters": [{"name": "verbose", "in": "query", "schema": {"type": "boolean"}}],
                "responses": {"200": {"description": "the customer"}},
            },
            "patch": {
                "operationId": "updateCustomer",
                "requestBody": {
                    "content": {
                        "application/json": {
                            "schema": {
                                "type": "object",
                                "properties": {"phone": {"type": "string"}},
                            }
                        }
                    }
                },
                "responses": {"200": {"description": "changed"}},
            },
        },
    },
    "components": {
        "schemas": {
            "Payment": {
                "type": "object",
                "required": ["amount_minor", "currency", "iban"],
                "properties": {
                    "id": {"type": "string", "readOnly": True},
                    "amount_minor": {"type": "integer", "minimum": 1},
                    "currency": {"type": "string"},
                    "iban": {"type": "string"},
                },
            }
        }
    },
}
"""A payment, a read and a change; the second server is a sandbox."""


def classed_bank() -> dict[str, Any]:
    """The same, with an IBAN and a telephone number of a class."""
    document = deepcopy(BANK)
    document["components"]["schemas"]["Payment"]["properties"]["iban"]["x-data-class"] = "bank-details"
    change = document["paths"]["/customers/{customer-id}"]["patch"]["requestBody"]["content"]["application/json"]
    change["schema"]["properties"]["phone"]["x-data-class"] = "personal"
    return document


def document_with(
    operation: dict[str, Any], *, path: str = "/things", method: str = "post", **more: Any
) -> dict[str, Any]:
    """A document of one operation; ``more`` joins its top level."""
    described = {"operationId": "doIt", "responses": {"200": {"description": "done"}}, **operation}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Things", "version": "1"},
        "paths": {path: {method: described}},
        **more,
    }


def with_body(schema: dict[str, Any], **more: Any) -> dict[str, Any]:
    """An operation with a JSON body of this schema."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}, **more}
