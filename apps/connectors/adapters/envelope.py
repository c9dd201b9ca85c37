"""The envelope around a connector's secret: ``apps.core.envelope``, bound to one version of one credential."""

from apps.core.envelope import MasterKey, master_keys, read_key, seal, unseal

__all__ = ["MasterKey", "master_keys", "place_of", "read_key", "seal", "unseal"]


def place_of(connector: object, credential: object, version: int) -> bytes:
    """The associated data of one version of one credential of one connector."""
    return f"acp.secret.v1\x00{connector}\x00{credential}\x00{version}".encode()
