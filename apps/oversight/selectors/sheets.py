"""Everything that the decision page shows of one item, gathered from stored facts. The agent's words stay apart."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db.models import OuterRef, QuerySet, Subquery
from django.db.models.fields.json import KT

from apps.agents.models import Action
from apps.agents.rules import EffectClass, Environment
from apps.agents.selectors import actions_for
from apps.audit.models import Entry
from apps.connectors.models import Operation
from apps.connectors.rules import money_of, money_text
from apps.core.differences import flattened
from apps.core.models import User
from apps.core.prepared import Prepared, Slot
from apps.core.rules import ValueProblem
from apps.oversight.models import Drill, Escalation, EscalationGroup, StandingApproval, Vote
from apps.oversight.rules import EscalationState, Kind, VoteVerdict
from apps.oversight.selectors.details import allowed_for, hides_votes_for, thread_for, timeline_for, why_not_for
from apps.oversight.selectors.drills import drill_of
from apps.oversight.selectors.eligibility import eligible_for, standing_for, tally_for
from apps.oversight.selectors.evidence import Piece, evidence_for
from apps.oversight.selectors.factors import (
    Cost,
    Ground,
    History,
    WayBack,
    cost_for,
    grounds_for,
    history_of,
    way_back_of,
)
from apps.oversight.selectors.hindrances import hindrance_for
from apps.oversight.selectors.precedent import Precedent, precedent_for
from apps.oversight.selectors.standing import standing_approvals_of
from apps.oversight.selectors.veils import Sight, sight_of
from apps.policies.models import Policy, Proposal
from apps.policies.selectors import case_homes_for, proposals_of_item, ways_out_for
from apps.policies.selectors.quiet import quieted_for

NAMES_SHOWN = 6


@dataclass(frozen=True, slots=True)
class Progress:
    """One group's quorum: who approved, how many it takes, who still could; before its turn nobody is asked."""

    group: EscalationGroup
    approved: list[Vote]
    could: list[User]

    @property
    def is_met(self) -> bool:
        """Whether nobody is missing any more."""
        return len(self.approved) >= self.group.needed

    @property
    def is_short(self) -> bool:
        """Whether whoever could still approve is too few."""
        return self.group.is_asked and len(self.could) < min(self.group.needed - len(self.approved), NAMES_SHOWN)

    @property
    def steps(self) -> list[bool]:
        """One per needed approval: whether it is there."""
        return [index < len(self.approved) for index in range(self.group.needed)]


@dataclass(frozen=True, slots=True)
class Sheet:
    """One item, ready to be shown to one person. ``allowed`` as in the API; ``why_not`` says why it is empty."""

    item: Escalation
    operation: Operation | None
    allowed: dict[str, Any]
    why_not: str | None
    own_vote: Vote | None
    hides_votes: bool
    progress: list[Progress]
    precedent: Precedent
    history: History
    story: list[dict[str, Any]]
    comments: list[dict[str, Any]]
    evidence: list[Piece]
    grounds: list[Ground]
    votes: list[Vote]
    way_back: WayBack | None
    cost: Cost
    proposals: list[Proposal]
    standing: list[StandingApproval]
    ways_out: list[str] = field(default_factory=list)
    drill: Drill | None = None
    before: Any = None
    before_label: str = ""
    notes: Mapping[str, str] = field(default_factory=dict)
    sight: Sight | None = None
    verdict: Mapping[str, Any] = field(default_factory=dict)
    case_homes: list[Policy] = field(default_factory=list)
    hindrance: str = ""

    @property
    def parameters(self) -> Any:
        """What is to be decided on: the action's parameters, or what the step was given. What is hidden is marked."""
        found = ordered(self.item.values(), self.operation)
        return self.sight.values(found) if self.sight else found

    @property
    def reference(self) -> str:
        """What the agent calls the thing that it is about, with marks for what is hidden."""
        found = self.item.action.marked_reference if self.item.action else ""
        return self.sight.text(found) if self.sight else found

    @property
    def may_decide(self) -> bool:
        """Whether buttons are shown."""
        return bool(self.allowed)

    @property
    def is_open(self) -> bool:
        """Whether a decision is still possible."""
        return self.item.state == EscalationState.PENDING

    @property
    def short(self) -> list[Progress]:
        """The groups that cannot be filled as roles are given now; none where votes are hidden."""
        return [] if self.hides_votes or not self.is_open else [part for part in self.progress if part.is_short]

    @property
    def evidence_viewed(self) -> int:
        """How many pieces of evidence the viewer has opened."""
        return sum(piece.is_viewed for piece in self.evidence)

    @property
    def is_irreversible(self) -> bool:
        """Whether nothing leads back."""
        return bool(self.item.action and self.item.action.effect == EffectClass.IRREVERSIBLE)

    @property
    def asked_again(self) -> str:
        """Why people are asked about the same action a second time; empty where they were not asked before."""
        asked = [line for line in self.story if line["name"] == "action.pending_approval"]
        return str(asked[-1].get("why", "")) if self.before_label == "again" and asked else ""

    @property
    def asking_rules(self) -> list[dict[str, Any]]:
        """The matched rules that ask for a person, in words."""
        return [rule for rule in self.verdict.get("rules", []) if rule.get("effect") == "require_approval"]

    @property
    def lets_ahead(self) -> bool:
        """Whether its rules let the like of it be approved in advance."""
        demands = self.item.verdict.get("obligations") or {}
        may, asked = bool((demands.get("standing") or {}).get("times")), self.item.action
        is_meant = asked is not None and asked.environment == Environment.LIVE
        return may and is_meant and self.item.agent is not None and self.item.erased_at is None

    @property
    def against(self) -> list[Vote]:
        """The votes that are no approval."""
        return [vote for vote in self.votes if vote.verdict != VoteVerdict.APPROVE]

    @property
    def times_the_usual(self) -> float | None:
        """How many times the 95th percentile of the agent's amounts this one is."""
        return self.history.times(self.item.action.amount_minor) if self.item.action else None

    @property
    def is_first_for_target(self) -> bool:
        """Whether the agent did this before, and never to this target."""
        return bool(
            self.item.action and self.item.action.target and self.history.total and not self.history.same_target
        )


def ordered(values: Mapping[str, Any], operation: Operation | None) -> dict[str, Any]:
    """What matters first: amount, currency, target, then what the schema requires. The database keeps no order."""
    schema = operation.parameters if operation else {}
    amount = (operation.amount or {}) if operation else {}
    first = [amount.get("path"), amount.get("currency_path"), operation.target if operation else ""]
    names = [*first, *schema.get("required", ()), *sorted(schema.get("properties", ())), *sorted(values)]
    return {name: values[name] for name in dict.fromkeys(names) if name in values}


def sheet_for(actor: User, item: Escalation) -> Sheet:
    """The sheet of an item that ``actor`` fetched through ``escalation_for``."""
    standing = standing_for(actor)
    operation = _operation(item)
    sight = sight_of(actor, item)
    before, label = _before(actor, item)
    hides = hides_votes_for(actor, item)
    return Sheet(
        item=item,
        operation=operation,
        allowed=allowed_for(actor, item, standing),
        why_not=why_not_for(actor, item, standing),
        own_vote=next((vote for vote in item.live_votes() if vote.voter_id == actor.pk), None),
        hides_votes=hides,
        progress=_progress(actor, item, [] if hides else item.live_votes()),
        precedent=precedent_for(actor, item),
        history=history_of(item),
        story=timeline_for(actor, item),
        comments=thread_for(actor, item),
        evidence=evidence_for(actor, item),
        grounds=grounds_for(actor, item),
        votes=[vote for vote in item.live_votes() if not hides or vote.voter_id == actor.pk],
        way_back=way_back_of(operation),
        cost=cost_for(actor, item, operation),
        proposals=proposals_of_item(actor, item.pk),
        standing=standing_approvals_of(actor, item),
        ways_out=_ways_out(actor, item),
        drill=drill_of(actor, item),
        before=before,
        before_label=label,
        notes=_notes(item, sight, operation),
        sight=sight,
        verdict=quieted_for(actor, item.verdict),
        case_homes=_case_homes(actor, item),
        hindrance=hindrance_for(actor, item, operation),
    )


def _case_homes(actor: User, item: Escalation) -> list[Policy]:
    """The policies in which what people said of the item can be kept as a test."""
    is_said = item.state in {EscalationState.APPROVED, EscalationState.REJECTED}
    if (
        item.action is None
        or not is_said
        or item.kind != Kind.ACTION
        or item.erased_at is not None
        or item.drill_for_id is not None
    ):
        return []
    found = case_homes_for(actor, item.verdict)
    return found if found and actions_for(actor).filter(pk=item.action.pk).exists() else []


def _ways_out(actor: User, item: Escalation) -> list[str]:
    """What would have to be otherwise for nobody to be asked; of an action only, in its own currency."""
    return ways_out_for(actor, item.verdict, currency=item.action.currency) if item.action else []


def ordered_values_for(actor: User, item: Escalation) -> tuple[dict[str, Any], Mapping[str, str]]:
    """The values of an item that ``actor`` fetched, in the order of its page, and what their amounts read as."""
    sight, operation = sight_of(actor, item), _operation(item)
    return sight.values(ordered(item.values(), operation)), _notes(item, sight, operation)


def ordered_parameters_for(actor: User, action: Action) -> tuple[dict[str, Any], Mapping[str, str]]:
    """The same of an action as ``actor`` is shown it: what is hidden is a mark there, and no amount."""
    assert actor.is_active
    values, operation = action.parameters or {}, _to_run.first(slug=action.operation)
    return ordered(values, operation), _amounts(values, operation)


@dataclass(frozen=True, slots=True)
class Edited:
    """What people made of an action before it was approved: what it asked for first, that amount, and who they are."""

    before: dict[str, Any]
    amount: str
    people: list[User]


def edit_of_action(actor: User, action: Action) -> Edited | None:
    """How people edited an action that ``actor`` fetched; None where nobody did, or what was asked is erased."""
    item = Escalation.objects.filter(action=action, edited=True).order_by("id").first()
    asked = (item.asked or {}).get("parameters") if item else None
    if item is None or asked is None:
        return None
    item.action = action
    entries = Entry.objects.filter(subject_id=item.pk, name="escalation.edited").select_related("actor").order_by("id")
    operation, sight = _operation(item), sight_of(actor, item)
    before = sight.values(ordered(asked, operation))
    amount = (operation.amount or {}) if operation else {}
    try:
        money = money_of(before, amount)
    except ValueProblem:  # hidden from who looks
        money = None
    return Edited(before, str(money or ""), list(dict.fromkeys(entry.actor for entry in entries)))


def _operation(item: Escalation) -> Operation | None:
    """The operation that would run, shown whatever else of its system the viewer may see."""
    if item.action is None:
        return None
    return _to_run.first(slug=item.action.operation)


def _with_way_back() -> QuerySet[Operation]:
    back = Operation.objects.filter(slug=OuterRef("back")).values("name")
    rows = Operation.objects.annotate(back=KT("compensation__operation"), undone_by=Subquery(back[:1]))
    return rows.select_related("connector").filter(slug=Slot("slug"))


_to_run = Prepared(_with_way_back)


def _before(actor: User, item: Escalation) -> tuple[Any, str]:
    """What the parameters are compared with: the agent's own, if a person edited them; else the item it replaces.

    Nothing where that was about the same action, which people are asked about ``again``.
    """
    if item.asked and item.action:
        return sight_of(actor, item).values(item.asked.get("parameters")), "asked"
    if item.supersedes_id and item.action:
        older = Escalation.objects.select_related("action").filter(pk=item.supersedes_id).first()
        if older and older.action_id == item.action_id:
            return None, "again"
        if older and older.action:
            return sight_of(actor, older).values(older.action.parameters), "superseded"
    return None, ""


def _notes(item: Escalation, sight: Sight, operation: Operation | None) -> dict[str, str]:
    """Amounts as people read them, by path, but for what is hidden from whoever looks."""
    return {path: said for path, said in _amounts(item.values(), operation).items() if not sight.hides(path)}


def _amounts(values: Mapping[str, Any], operation: Operation | None) -> dict[str, str]:
    """The operation's own amount, wherever it stands, and integers in minor units with a currency beside or above."""
    leaves, found = flattened(values), {}
    for path, value in leaves.items():
        if not path.endswith("_minor") or isinstance(value, bool) or not isinstance(value, int):
            continue
        above = path.rpartition(".")[0]
        currency = leaves.get(f"{above}.currency".lstrip(".")) or leaves.get("currency")
        if isinstance(currency, str):
            found[path] = f"= {money_text(value, currency)}"
    amount = (operation.amount or {}) if operation else {}
    try:
        own = money_of(values, amount)
    except ValueProblem:  # hidden from who looks, or another parameter since
        own = None
    return found | ({str(amount["path"]): f"= {own}"} if own else {})


def _progress(actor: User, item: Escalation, votes: list[Vote]) -> list[Progress]:
    approvals = [vote for vote in votes if vote.verdict == VoteVerdict.APPROVE]
    could = eligible_for(actor, item, most=NAMES_SHOWN) if item.state == EscalationState.PENDING else {}
    groups = item.group_list()
    counted = tally_for(actor, item).counted if len(groups) > 1 and approvals else {}
    return [
        Progress(group, approved[: group.needed], could.get(group.key, []))
        for group in groups
        for approved in [_of_group(group, approvals, counted, is_only=len(groups) == 1)]
    ]


def _of_group(
    group: EscalationGroup, approvals: list[Vote], counted: Mapping[str, tuple[str, ...]], *, is_only: bool
) -> list[Vote]:
    """The approvals that count in a group, each in one only; where it is the only one, all of them."""
    return [vote for vote in approvals if is_only or vote.voter.username in counted.get(group.key, ())]
