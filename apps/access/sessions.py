"""Where sessions of people are kept: each row knows whose it is, and whoever reads the table can use none of them.

The key in the cookie is stored as its SHA-256, what the session holds is sealed. A session ends eight hours after its
sign-in, after an hour in which nobody did anything, or when its row is deleted: on the next request.
"""

import hashlib
from base64 import b64decode, b64encode
from datetime import datetime
from typing import Any

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore

from apps.core.envelope import master_keys, seal, unseal
from apps.core.errors import UnavailableError
from apps.core.prepared import Prepared, Slot

ADDRESS, BROWSER, ENDS = "signed_in_from", "signed_in_with", "ends_at"
"""Under which names a session holds from where, and with which browser, its person signed in; and when it ends at the
latest (ISO 8601), where that is sooner than of others."""
PLACE = b"acp.session.v1"


def stored_key(key: str) -> str:
    """What of a session's key is stored: its SHA-256 in hex. It is random: nobody finds it by trying."""
    return hashlib.sha256(key.encode()).hexdigest()


def _live_rows() -> Any:
    model = SessionStore.get_model_class()
    return model.objects.annotate(is_unseen=model.unseen()).filter(model.live(), session_key=Slot("key"))


_live: Prepared[Any] = Prepared(_live_rows)


class SessionStore(DatabaseStore):
    """Sessions as rows of ``access.Session``. ``row`` is the row that was read, None before."""

    row: Any = None

    @classmethod
    def get_model_class(cls) -> Any:
        """The table; imported late, since settings name this class before there are any."""
        from apps.access.models import Session

        return Session

    def encode(self, session_dict: dict[str, Any]) -> str:
        """What the session holds, sealed: it may hold what is shown once, or a second factor that is being set up."""
        return b64encode(seal(master_keys()[0], super().encode(session_dict), PLACE)).decode()

    def decode(self, session_data: str | bytes) -> dict[str, Any]:
        """The same again; what no key of ours opens is no session."""
        try:
            return super().decode(unseal(master_keys(), b64decode(session_data), PLACE))
        except UnavailableError:
            return {}

    def load(self) -> dict[str, Any]:
        """What the session holds; nothing, and no key, where it has ended."""
        self.row = _live.first(key=stored_key(self.session_key or ""))
        if self.row is None:
            self._session_key = None
            return {}
        return self.decode(self.row.session_data)

    def exists(self, session_key: str) -> bool:
        """Whether there is one of this key."""
        return bool(self.model.objects.filter(session_key=stored_key(session_key)).exists())

    def delete(self, session_key: str | None = None) -> None:
        """End it."""
        if key := session_key or self.session_key:
            self.model.objects.filter(session_key=stored_key(key)).delete()

    def create_model_instance(self, data: dict[str, Any]) -> Any:
        """The row as it is to be written: it stays the one that was read, which knows when it began."""
        key = stored_key(self._get_or_create_session_key())  # type: ignore[attr-defined] # the framework's hook
        row: Any = self.row if self.row is not None and self.row.session_key == key else self.model(session_key=key)
        row.session_data, row.expire_date = self.encode(data), self._end_of(data)
        row.user_id = data.get(SESSION_KEY)
        row.address, row.browser = data.get(ADDRESS, ""), data.get(BROWSER, "")
        self.row = row
        return row

    def _end_of(self, data: dict[str, Any]) -> datetime:
        """What was said at the sign-in stands, whatever the framework says of the session later."""
        usual: datetime = self.get_expiry_date()
        return min(usual, datetime.fromisoformat(data[ENDS])) if ENDS in data else usual

    async def acreate_model_instance(self, data: dict[str, Any]) -> Any:
        """Nothing of ours asks for a session asynchronously; what did would store its key in clear."""
        raise RuntimeError("Sessions are read and written synchronously.")
