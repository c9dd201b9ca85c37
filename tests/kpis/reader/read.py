"""Read an XES file by a library that is not ours, in an environment of its own; what it says of it, as JSON."""

import json
import sys

import r4pm
from r4pm import bindings

log = r4pm.import_item("EventLog", sys.argv[1])
ways = bindings.get_variants(bindings.log_to_activity_projection(log))
graph = bindings.discover_dfg(log)
axes = {"x_axis": "Time", "y_axis": "Case", "color_axis": "Resource", "timestamp_key": "time:timestamp"}
dots = bindings.get_dotted_chart(log, axes)["dots_per_color"]
json.dump(
    {
        "ways": [[one["activities"], one["count"]] for one in ways],
        "activities": graph["activities"],
        "follows": graph["directly_follows_relations"],
        "at_ms": {resource: sorted(found["x"]) for resource, found in dots.items()},
    },
    sys.stdout,
)
