"""An erasure reaches its own trail alone, and drops no fact."""

from django.db import migrations

FACTS = """
action,agent,amount_minor,attempt,attempts,by,by_hand,cache_read_tokens,cache_write_tokens,code,comment,
cost_minor,created_at,currency,decided_by,delivered,digest,due_at,duration_ms,edited,effect,error_class,
escalation,event,expires_at,extended_s,failed,failed_attempts,fee_minor,finished_at,from,held_s,input_tokens,
item,items,key,kind,model,name,needed,operation,outcome,output_tokens,overdue,paused_ms,queued_at,queues,
reason_code,reference,release,requested_at,rerun_of,retry,rework,risk,round,rule,run,run_id,simulated,sla_ms,
started_at,started_by,state,status,step,stood_s,stricter,supersedes,task,task_id,to,try,ttl_s,undone,unit_id,
until,verdict,version,voters,workflow
"""
"""``rules.FACTS``: what PostgreSQL keeps whoever asks. A further one takes a further migration of ``audit_facts``."""

FORWARD = """
CREATE FUNCTION audit_facts(payload jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(jsonb_object_agg(f.key, f.value), '{}') FROM jsonb_each(payload) AS f
    WHERE f.key = ANY('{%s}'::text[]) AND jsonb_typeof(f.value) <> 'object'
$$;

CREATE OR REPLACE FUNCTION audit_erase(erasing bigint, entries bigint[], facts json[]) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    because audit_entry;
    erased integer;
BEGIN
    SELECT * INTO because FROM audit_entry
    WHERE id = erasing AND name = 'payloads.erased' AND xid = pg_current_xact_id();
    IF NOT FOUND THEN
        RAISE EXCEPTION 'an erasure needs its own entry in the same transaction' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF EXISTS (
        SELECT FROM audit_entry WHERE id = ANY(entries) AND (name = 'payloads.erased' OR trail_id <> because.trail_id)
    ) THEN
        RAISE EXCEPTION 'an erasure reaches its own trail, and is never erased' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF EXISTS (
        SELECT FROM unnest(entries, facts) AS f(id, kept) JOIN audit_payload p ON p.entry_id = f.id,
            LATERAL (SELECT (p.content -> 'payload')::jsonb AS written) AS w
        WHERE (w.written @> f.kept::jsonb AND audit_facts(f.kept::jsonb) = audit_facts(w.written)) IS NOT TRUE
    ) THEN
        RAISE EXCEPTION 'what is kept must have been written, and every fact is kept'
        USING ERRCODE = 'insufficient_privilege';
    END IF;
    INSERT INTO audit_erasure (entry_id, because_id, at, by, kept)
    SELECT p.entry_id, because.id, because.occurred_at, because.actor_label, f.kept
    FROM unnest(entries, facts) AS f(id, kept) JOIN audit_payload p ON p.entry_id = f.id;
    DELETE FROM audit_payload p USING audit_erasure x WHERE x.entry_id = p.entry_id AND x.because_id = because.id;
    GET DIAGNOSTICS erased = ROW_COUNT;
    RETURN erased;
END $$;

CREATE FUNCTION audit_erasing(trail uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM public.audit_entry
        WHERE xid = pg_current_xact_id() AND name = 'payloads.erased' AND trail_id = trail
    )
$$;
""" % "".join(FACTS.split())


class Migration(migrations.Migration):
    dependencies = [("audit", "0008_seal_entries")]

    operations = [migrations.RunSQL(FORWARD)]
