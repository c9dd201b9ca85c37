"""What touches the world outside: the envelope's cryptography and the HTTP call. Called by services, never by doors."""
