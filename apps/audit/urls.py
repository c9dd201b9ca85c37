"""Addresses of the ledger. Its pages belong to the console."""

from django.urls import URLPattern, path

from apps.audit import api

pages: list[URLPattern] = []

endpoints = [
    path("audit/entries/", api.Entries.as_view(), name="entries"),
    path("audit/entries/<int:entry_id>/", api.EntryDetail.as_view(), name="entry"),
]
