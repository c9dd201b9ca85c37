"""/healthz: the process lives. /readyz: each part answers, in state words only."""

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse

from apps.core.models import ClockTimestamp, Heartbeat

WORKER_SILENT_S = 15.0
SCHEDULER_LATE_S = 10.0


def healthz(request: HttpRequest) -> JsonResponse:
    """200 when this process can answer at all."""
    return JsonResponse({"status": "ok"})


def readyz(request: HttpRequest) -> JsonResponse:
    """200 when database, broker, workers and scheduler are there, else 503; each part with its state."""
    parts = {"database": _database(), "broker": _broker()}
    if parts["database"] == "ok":
        parts |= {"workers": _heard("worker", WORKER_SILENT_S), "scheduler": _heard("scheduler", SCHEDULER_LATE_S)}
    else:
        parts |= {"workers": "unknown", "scheduler": "unknown"}
    parts["ledger"] = "ok" if settings.LEDGER_IS_PROTECTED else "not protected from the application's own role"
    ready = all(parts[part] == "ok" for part in ("database", "broker", "workers", "scheduler"))
    answer = JsonResponse({"status": "ready" if ready else "not ready", **parts}, status=200 if ready else 503)
    answer._has_been_logged = True  # type: ignore[attr-defined] # whoever asks is told; it is no error of ours
    return answer


def _database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return "missing"
    return "ok"


def _broker() -> str:
    client = redis.Redis.from_url(settings.REDIS_URL, socket_timeout=0.5, socket_connect_timeout=0.5)
    try:
        client.ping()
    except (redis.RedisError, OSError):
        return "missing"
    finally:
        client.close()
    return "ok"


def _heard(kind: str, silent_s: float) -> str:
    newest = Heartbeat.objects.filter(kind=kind).order_by("-at").values("at", now=ClockTimestamp()).first()
    if newest is None:
        return "missing"
    return "ok" if (newest["now"] - newest["at"]).total_seconds() < silent_s else "late"


def session(request: HttpRequest) -> HttpResponse:
    """204 and who, for the live stream: it cannot ask the session itself. Strangers were redirected before."""
    return HttpResponse(status=204, headers={"X-Person": str(request.user.pk)})
