"""Endpoints of policies, for people and their scripts."""
