"""Django's admin site as a window: staff look, nobody changes anything there."""

from typing import Any

from django.contrib import admin


class WindowAdmin(admin.ModelAdmin[Any]):
    """Lists and shows; every change goes through a service."""

    list_per_page = 50
    show_full_result_count = False

    def has_view_permission(self, request: Any, obj: Any = None) -> bool:
        """Active staff may look."""
        return bool(request.user.is_active and request.user.is_staff)

    def has_module_permission(self, request: Any) -> bool:
        """As above."""
        return self.has_view_permission(request)

    def has_add_permission(self, request: Any, obj: Any = None) -> bool:
        """Never."""
        return False

    def has_change_permission(self, request: Any, obj: Any = None) -> bool:
        """Never."""
        return False

    def has_delete_permission(self, request: Any, obj: Any = None) -> bool:
        """Never."""
        return False
