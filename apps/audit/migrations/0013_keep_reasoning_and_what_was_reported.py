"""How many tokens were reasoning, and what a call cost by its sender's word, are facts."""

from django.db import migrations

FACTS = """
action,agent,amount_minor,asked_at,attempt,attempts,by,by_hand,cache_read_tokens,cache_write_tokens,
claims,code,comment,cost_minor,created_at,currency,decided_by,delivered,digest,due_at,duration_ms,
edited,effect,engaged_at,error_class,escalation,escaped,event,expires_at,extended_s,failed,
failed_attempts,fee_minor,finished_at,from,held_s,input_tokens,item,items,key,kind,last_claim_at,
model,name,needed,operation,outcome,output_tokens,overdue,paused_ms,queued_at,queues,reason_code,
reasoning_tokens,reference,refused,release,reported_currency,reported_micro,requested_at,rerun_of,retry,rework,risk,round,rule,run,run_id,scope,
simulated,sla_ms,started_at,started_by,state,status,step,stood_s,stopped_at,stricter,supersedes,
task,task_id,time_to_stop_ms,to,try,ttl_s,undone,unit_id,until,verdict,version,voters,week,
workflow
"""
"""``rules.FACTS``: what PostgreSQL keeps whoever asks. A further one takes a further migration of ``audit_facts``."""

FORWARD = """
CREATE OR REPLACE FUNCTION audit_facts(payload jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(jsonb_object_agg(f.key, f.value), '{}') FROM jsonb_each(payload) AS f
    WHERE f.key = ANY('{%s}'::text[]) AND jsonb_typeof(f.value) <> 'object'
$$;
""" % "".join(FACTS.split())


class Migration(migrations.Migration):
    dependencies = [("audit", "0012_keep_the_week_of_a_report")]

    operations = [migrations.RunSQL(FORWARD)]
