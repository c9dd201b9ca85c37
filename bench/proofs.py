"""Suites that end with an account: so many runs, and every one of them in the figures."""

from pathlib import Path

from bench import declarations, killed
from bench.stage import DATA_DIR, Scene
from bench.suites import Rows, row
from tests.demo.plane import live_plane


def measure_killed(scene: Scene, figures: dict[str, Rows]) -> Rows:
    """Sixteen clients end five thousand runs over HTTP while the projection is killed twice as it writes."""
    workflow, agents = killed.make_agents(killed.CLIENTS)
    url = scene.start_web_alone()
    work = killed.over_http(url, workflow, agents)
    found = killed.run_all(
        work, runs=killed.RUNS, clients=killed.CLIENTS, start_folding=lambda: scene.one("-m", "bench.folding")
    )
    wrong = killed.differences(killed.RUNS)
    for what, (is_so, should_be) in wrong.items():
        print(f"  {what}: {str(is_so)[:200]}, not {str(should_be)[:200]}", flush=True)
    return [
        row(f"runs ended by {killed.CLIENTS} clients", killed.RUNS / found.seconds, "per s"),
        row("... the projection was killed as it wrote", found.kills, "times"),
        row("... entries of the ledger", found.entries, ""),
        row("... kinds of figures that differ from the ledger after", len(wrong), "", "0"),
    ]


def measure_declarations(scene: Scene, figures: dict[str, Rows]) -> Rows:
    """All real declarations as runs of the sample company, with its systems and the agent that checks them."""
    urls = (scene.database_url, scene.environment["DATABASE_OWNER_URL"], scene.environment["REDIS_URL"])
    folder: Path = DATA_DIR / "declarations"
    folder.mkdir(parents=True, exist_ok=True)
    with live_plane(folder, *urls, "--no-history", "--no-runs") as plane, plane.person("olga") as olga:
        plane.start_agents("expense-checker")
        rate = declarations.submit(plane, declarations.FILE, declarations.CASES)
        print(f"  submitted at {rate:,.1f} a second", flush=True)

        def look() -> declarations.Counted:
            return declarations.counted(olga)

        found = declarations.settled(look, declarations.CASES, within_s=declarations.SETTLES_S)
    return [
        row("real declarations submitted", declarations.CASES, ""),
        row("... at", rate, "per s"),
        row("... ended", found.ended, ""),
        row("... in the backlog", found.backlog, ""),
        row("... in no figure", declarations.CASES - found.ended - found.backlog, "", "0"),
    ]
