"""Benchmarks. They measure; tests prove."""
