"""Read an XES file by a library that is not ours, in an environment of its own; what it says of it, as JSON."""

import json
import sys

import r4pm
from r4pm import bindings

log = r4pm.import_item("EventLog", sys.argv[1])
ways = bindings.get_variants(bindings.log_to_activity_projection(log))
graph = bindings.discover_dfg(log)
moments = bindings.get_event_timestamps(log)["events_per_timestamp"].values()
json.dump(
    {
        "ways": [[one["activities"], one["count"]] for one in ways],
        "activities": graph["activities"],
        "follows": graph["directly_follows_relations"],
        "with_a_time": sum(sum(found.values()) for found in moments),
    },
    sys.stdout,
)
