"""Static files as the product serves them, looked for once in a process and not once for each test client."""

from collections.abc import Callable
from typing import Any, ClassVar

from whitenoise.middleware import WhiteNoiseMiddleware


class FoundOnce(WhiteNoiseMiddleware):
    """Every test client loads the middleware anew, and each time WhiteNoise asks the disk for every file's date."""

    found: ClassVar[dict[Any, dict[str, Any]]] = {}

    def add_files(self, root: Any, prefix: Any = None) -> None:
        """Those of a folder."""
        self._once((str(root), prefix), lambda: super(FoundOnce, self).add_files(root, prefix))

    def add_files_from_finders(self) -> None:
        """Those of every application."""
        self._once("finders", super().add_files_from_finders)

    def _once(self, where: Any, find: Callable[[], None]) -> None:
        if where not in self.found:
            others, self.files = self.files, {}
            find()
            self.found[where], self.files = self.files, others
        self.files = {**self.files, **self.found[where]}
