"""The endpoints of telemetry."""
