"""Endpoints composed of several apps."""
