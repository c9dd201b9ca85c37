"""Conditions, scopes and demands in words, in the reader's language."""

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.core.formats import duration, money, number
from apps.core.rules import Risk
from apps.policies.rules import (
    Bulk,
    Clause,
    Comparison,
    Condition,
    Effect,
    Every,
    Exclusion,
    Not,
    Obligations,
    Quorum,
    Rule,
    RuleInForce,
    Scope,
    Some,
    StandingLimit,
    condition_of,
)


def fact_words() -> dict[str, str]:
    """What a rule may know of an action, in words, by its name; parameters are not among them."""
    return {
        "action.operation": _("the operation"),
        "action.effect": _("the effect"),
        "action.amount_minor": _("the amount"),
        "action.currency": _("the currency"),
        "action.target": _("the target"),
        "action.reference": _("the reference"),
        "action.environment": _("the environment"),
        "action.confidence": _("the agent's confidence"),
        "action.data_classes": _("the data classes that it carries"),
        "agent.slug": _("the agent"),
        "agent.unit": _("the agent's unit"),
        "agent.risk": _("the agent's risk"),
        "agent.state": _("the agent's state"),
        "agent.version": _("the agent's version"),
        "agent.owner": _("the agent's owner"),
        "agent.capabilities": _("what the agent can do"),
        "run.workflow": _("the workflow"),
        "run.step": _("the step"),
        "run.started_by": _("who started the run"),
        "run.key": _("the run's key"),
        "on_behalf_of": _("on whose behalf it is asked"),
        "now": _("the time"),
    }


def _comparisons() -> dict[Comparison, str]:
    return {
        Comparison.OVER: _("%(fact)s is over %(value)s"),
        Comparison.AT_LEAST: _("%(fact)s is at least %(value)s"),
        Comparison.UNDER: _("%(fact)s is under %(value)s"),
        Comparison.AT_MOST: _("%(fact)s is at most %(value)s"),
        Comparison.IS: _("%(fact)s is %(value)s"),
        Comparison.IS_NOT: _("%(fact)s is not %(value)s"),
        Comparison.ONE_OF: _("%(fact)s is %(value)s"),
        Comparison.HAS: _("%(fact)s includes %(value)s"),
        Comparison.STARTS_WITH: _("%(fact)s starts with %(value)s"),
        Comparison.ENDS_WITH: _("%(fact)s ends with %(value)s"),
        Comparison.CONTAINS: _("%(fact)s contains %(value)s"),
        Comparison.GIVEN: _("%(fact)s is given"),
        Comparison.NOT_GIVEN: _("%(fact)s is not given"),
    }


def sentence_of(rule: RuleInForce, *, queue: str = "") -> str:
    """The rule as one sentence; where its condition is too much for words, with the expression itself.

    ``queue`` is the queue's name for readers, its slug if left out.
    """
    tree = condition_of(rule.program.tree)
    condition = words_of(tree, rule.rule.currency)
    words = {
        "condition": rule.rule.when.strip() if condition is None else condition,
        "queue": _queues(rule.rule, queue or rule.rule.queue),
        "people": _people(rule.rule),
    }
    if tree == Every():
        return _always(rule.rule.effect) % words
    return _when(rule.rule.effect) % words


def _when(effect: Effect) -> str:
    return {
        Effect.ALLOW: _("Allowed when %(condition)s."),
        Effect.REQUIRE_APPROVAL: _("%(people)s of %(queue)s must approve when %(condition)s."),
        Effect.DENY: _("Denied when %(condition)s."),
        Effect.FLAG: _("Flagged when %(condition)s."),
    }[effect]


def _always(effect: Effect) -> str:
    return {
        Effect.ALLOW: _("Always allowed."),
        Effect.REQUIRE_APPROVAL: _("%(people)s of %(queue)s must always approve."),
        Effect.DENY: _("Always denied."),
        Effect.FLAG: _("Always flagged."),
    }[effect]


def _people(rule: Rule) -> str:
    """How many are asked whatever the amount; the demands say who else is, and in which order."""
    needed = sum(quorum.n for quorum in rule.quorums if quorum.over_minor is None)
    return ngettext("One person", "%(n)s people", needed) % {"n": number(needed)}


def _queues(rule: Rule, own: str) -> str:
    names = dict.fromkeys(quorum.queue or own for quorum in rule.quorums if quorum.over_minor is None)
    return _(" and ").join(names) or own


def words_of(condition: Condition, currency: str) -> str | None:
    """The condition in words, amounts in ``currency``; None where it has parts that words do not carry."""
    match condition:
        case Clause():
            text: str | None = _clause(condition, currency)
        case Every(parts=parts):
            text = _joined(_(" and "), parts, currency) if parts else _("in every case")
        case Some(parts=parts):
            text = _joined(_(" or "), parts, currency) if parts else _("in no case")
        case Not(part=part):
            inner = words_of(part, currency)
            text = inner and _("it is not so that %(condition)s") % {"condition": inner}
        case _:
            text = None
    return text


def _joined(word: str, parts: tuple[Condition, ...], currency: str) -> str | None:
    found = []
    for part in parts:
        text = words_of(part, currency)
        if text is None:
            return None
        is_mixed = isinstance(part, Every | Some | Not) and len(parts) > 1
        found.append(f"({text})" if is_mixed else text)
    return word.join(found)


def _clause(clause: Clause, currency: str) -> str:
    fact = fact_words().get(clause.fact) or _parameter(clause.fact)
    if clause.value == "" and clause.comparison in {Comparison.IS, Comparison.IS_NOT}:
        text = _("%(fact)s is empty") if clause.comparison is Comparison.IS else _("%(fact)s is not empty")
        return text % {"fact": fact}
    return _comparisons()[clause.comparison] % {"fact": fact, "value": _value(clause.fact, clause.value, currency)}


def _parameter(fact: str) -> str:
    name = fact.removeprefix("action.parameters.").removesuffix("_minor")
    return name.replace("_", " ").replace(".", " › ")


def _value(fact: str, value: Any, currency: str) -> str:
    if isinstance(value, list):
        return _(" or ").join(_value(fact, item, currency) for item in value)
    if isinstance(value, bool):
        return _("true") if value else _("false")
    if value is None:
        return _("nothing")
    if isinstance(value, int | float):
        return money(value, currency) if fact.endswith("_minor") else str(value)
    return f"“{value}”"


def demands_of(demands: Obligations, quorums: tuple[Quorum, ...] = (), currency: str = "") -> list[str]:
    """Each demand in a few words; amounts are in ``currency``."""
    words = [_quorum(quorum, currency) for quorum in quorums if quorum != Quorum()]
    words += [_exclusions()[exclusion] for exclusion in sorted(demands.exclude)]
    if demands.expires_in_s is not None:
        words.append(_("expires after %s") % duration(demands.expires_in_s))
    if demands.hold_s is not None:
        words.append(_("held for %s before it runs") % duration(demands.hold_s))
    if demands.sample is not None:
        words.append(_("%s %% of them looked at afterwards") % f"{demands.sample / 100:g}")
    if demands.limit_minor is not None:
        words.append(_("at most %s") % money(demands.limit_minor, currency))
    words += _at_once_and_ahead(demands, currency)
    if demands.redact:
        words.append(_("hides %s") % ", ".join(sorted(demands.redact)))
    if demands.notify:
        words.append(_("would tell %s, which no rule does") % ", ".join(sorted(demands.notify)))
    return words + _flags(demands)


def _at_once_and_ahead(demands: Obligations, currency: str) -> list[str]:
    words = [_together(demands.bulk, currency)] if demands.bulk is not None else []
    return [*words, _in_advance(demands.standing, currency)] if demands.standing and demands.standing.times else words


def _together(bulk: Bulk, currency: str) -> str:
    if not bulk.items:
        return _("approved one by one")
    tier = {Risk.LOW: _("low"), Risk.MEDIUM: _("medium")}[bulk.risk]
    words = _("up to %(n)s approved together, at most of %(tier)s risk") % {"n": number(bulk.items), "tier": tier}
    if bulk.total_minor is not None:
        words = _("%(words)s and %(sum)s in all") % {"words": words, "sum": money(bulk.total_minor, currency)}
    return words


def _in_advance(limit: StandingLimit, currency: str) -> str:
    words = _("approved in advance at most %(n)s times in %(days)s days") % {
        "n": number(limit.times),
        "days": number(limit.days),
    }
    if limit.up_to_minor is not None:
        words = _("%(words)s, up to %(amount)s each") % {"words": words, "amount": money(limit.up_to_minor, currency)}
    if limit.same:
        words = _("%(words)s, with the same %(names)s") % {"words": words, "names": ", ".join(sorted(limit.same))}
    return words


def _flags(demands: Obligations) -> list[str]:
    found = (
        (demands.step_up, _("the approver confirms who they are")),
        (demands.dry_run_first, _("tried without effect first, where the operation can be")),
        (demands.compensable, _("only if it can be undone")),
    )
    return [words for wanted, words in found if wanted]


def _quorum(quorum: Quorum, currency: str) -> str:
    words = ngettext("one person", "%(n)s people", quorum.n) % {"n": number(quorum.n)}
    if quorum.role:
        words = _("%(people)s with the role %(role)s") % {"people": words, "role": quorum.role}
    if quorum.queue:
        words = _("%(people)s of %(queue)s") % {"people": words, "queue": quorum.queue}
    if quorum.distinct_units:
        words = _("%s of different units") % words
    if quorum.over_minor is not None:
        words = _("%(people)s where it is over %(amount)s") % {
            "people": words,
            "amount": money(quorum.over_minor, currency),
        }
    return _("%(people)s in stage %(n)s") % {"people": words, "n": quorum.stage} if quorum.stage > 1 else words


def _exclusions() -> dict[Exclusion, str]:
    return {
        Exclusion.REQUESTER: _("not the person on whose behalf it is asked"),
        Exclusion.AGENT_OWNER: _("not the agent's owner"),
        Exclusion.RUN_STARTER: _("not the person who started the run"),
        Exclusion.POLICY_AUTHOR: _("not the policy's author"),
    }


def scope_of(scope: Scope) -> list[tuple[str, list[str]]]:
    """What a rule is limited to: a word and the slugs, for each kind that is limited."""
    words = {
        "operations": _("operations"),
        "connectors": _("connectors"),
        "agents": _("agents"),
        "versions": _("versions"),
        "workflows": _("workflows"),
        "steps": _("steps"),
        "units": _("units"),
        "environments": _("environments"),
    }
    return [(words[name], slugs) for name, slugs in scope.as_json().items()]
