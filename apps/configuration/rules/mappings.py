"""What a document says of a directory's group."""

from apps.configuration.rules.shapes import Keys, Maybe, Ref, Text

GROUP_MAPPING = Keys(
    {"slug": Text(63, 1, r"[a-z0-9][a-z0-9-]*", "A slug (small letters, digits and -)"), "group": Text(200, 1)}
    | {"role": Ref("Role")},
    {"unit": Maybe(Ref("BusinessUnit"))},
)
