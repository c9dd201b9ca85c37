"""`python -m apps.demo.agents --url http://127.0.0.1:8000 --keys FILE --speed 1`: run agents until interrupted."""

import argparse
import json
import signal
import threading
from pathlib import Path

from apps.demo.agents.actors import Payables, ProcurementAgent, RecordsClerk, SupportResolver
from apps.demo.agents.agent import Agent
from apps.demo.agents.front_desk import FrontDesk
from apps.demo.agents.plane import Plane
from apps.demo.agents.telling import Telling
from apps.demo.agents.workers import ExpenseChecker, QuoteGatherer, VendorValidator

AGENTS: list[type[Agent]] = [
    VendorValidator,
    QuoteGatherer,
    ExpenseChecker,
    ProcurementAgent,
    Payables,
    SupportResolver,
    RecordsClerk,
    FrontDesk,
]


def main() -> None:
    """Start the agents, each with its own key, and wait for a signal."""
    options = argparse.ArgumentParser(prog="python -m apps.demo.agents", description="The sample agents.")
    options.add_argument("--url", default="http://127.0.0.1:8000")
    options.add_argument("--keys", type=Path, required=True, help="JSON: the key of each agent by its slug")
    options.add_argument("--speed", type=float, default=1.0, help="2 is twice as busy")
    options.add_argument("--only", default="", help="slugs, separated by commas; all agents without it")
    wanted = options.parse_args()
    keys, only = json.loads(wanted.keys.read_text()), set(filter(None, wanted.only.split(",")))
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    chosen = [kind for kind in AGENTS if kind.slug in keys and (not only or kind.slug in only)]
    agents = [_agent(kind, wanted.url, keys[kind.slug], stopping, wanted.speed) for kind in chosen]
    threads = [
        threading.Thread(target=agent.run, name=agent.slug, daemon=True) for agent in agents for _ in range(agent.hands)
    ]
    for thread in threads:
        thread.start()
    print(f"{len(agents)} agents work at {wanted.url}", flush=True)
    while any(thread.is_alive() for thread in threads) and not stopping.wait(0.5):
        pass
    for thread in threads:
        thread.join(2)
    for agent in agents:
        agent.telling.end()


def _agent(kind: type[Agent], url: str, key: str, stopping: threading.Event, speed: float) -> Agent:
    return kind(Plane(url, key, stopping), Telling(kind.slug, url, key), stopping, speed)


main()
