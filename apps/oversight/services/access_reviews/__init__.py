"""Commands on access reviews: open a campaign, decide its rights, close it, and what runs by the clock."""

from apps.oversight.services.access_reviews.campaigns import close_access_review, open_access_review
from apps.oversight.services.access_reviews.clock import sweep_access_reviews
from apps.oversight.services.access_reviews.deciding import Told, decide_lines, decide_right

__all__ = [
    "Told",
    "close_access_review",
    "decide_lines",
    "decide_right",
    "open_access_review",
    "sweep_access_reviews",
]
