"""Agents of other frameworks, with their real libraries, over real HTTP."""
