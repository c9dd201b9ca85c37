"""Marks in the place of values. A classed value stands once, in the parameters.

Whatever else the plane writes of it holds its mark, ``[bank/iban hidden]``, and is unmarked only where somebody looks
who may see the class.
"""

import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from apps.classification.rules.schemas import covers
from apps.classification.rules.terms import ANY, BY_RULE, Classed

MARK = re.compile(r"\[(?P<slug>@rule|[a-z0-9][a-z0-9_-]{0,62})/(?P<path>[A-Za-z0-9_$*.-]+) hidden\]")
SHORT, PLENTY, NUMBER_FROM = 3, 120, 1000
"""Texts below ``SHORT`` letters are found by their path alone, as are numbers below ``NUMBER_FROM``; of a text longer
than ``PLENTY`` its beginning says that it is quoted."""
SHOWN_MAX = 160
GAP = 2
"""So many blanks or dashes people write between two letters of a value, or as many as a value itself has."""
APART = re.compile(r"[\s-]+")


def mark_of(slug: str, path: Sequence[str]) -> str:
    """What stands in the place of a value."""
    return f"[{slug}/{'.'.join(path)} hidden]"


def carried(classed: Classed, value: object) -> dict[str, list[list[str]]]:
    """The part of ``classed`` at whose paths there is something."""
    found = {
        slug: [list(path) for path in paths if any(each not in (None, "", [], {}) for each in values_at(value, path))]
        for slug, paths in classed.items()
    }
    return {slug: paths for slug, paths in found.items() if paths}


def united(classed: Classed, more: Classed) -> dict[str, list[list[str]]]:
    """The paths of both, each once."""
    found = {slug: [list(path) for path in classed.get(slug, ())] for slug in (*classed, *more)}
    for slug, paths in more.items():
        found[slug] += [list(path) for path in paths if list(path) not in found[slug]]
    return found


def hidden_by_rules(
    classed: Classed, names: Iterable[str], value: object, *, counted: Iterable[str] = ()
) -> dict[str, list[list[str]]]:
    """``classed`` with the dotted paths ``names`` that rules hide, where there is something at them.

    ``counted``: the paths of an amount and its currency, which limits and figures count: they are hidden from nobody.
    """
    free = {BY_RULE: [path.split(".") for path in counted if path]}
    paths = [path for name in sorted(names) if not covers(free, path := name.split("."))]
    return united(classed, carried({BY_RULE: paths}, value))


def values_at(value: object, path: Sequence[str]) -> Iterator[Any]:
    """Everything that stands at a path."""
    if not path:
        yield value
    elif isinstance(value, Mapping):
        for name, each in value.items():
            if path[0] in (ANY, name):
                yield from values_at(each, path[1:])
    elif isinstance(value, list) and path[0] == ANY:
        for each in value:
            yield from values_at(each, path[1:])


def marked(value: Any, classed: Classed, hide: Container[str] | None = None) -> Any:
    """The same JSON with marks at the paths of the classes in ``hide`` (None: of all). Null hides nothing and stays."""
    wanted = [
        (tuple(path), mark_of(slug, path))
        for slug, paths in classed.items()
        if hide is None or slug in hide
        for path in paths
    ]
    return _marked(value, wanted) if wanted else value


def _marked(value: Any, wanted: Sequence[tuple[tuple[str, ...], str]]) -> Any:
    here = [mark for path, mark in wanted if not path]
    if here or not wanted:
        return here[0] if here and value is not None else value
    if isinstance(value, Mapping):
        return {name: _marked(each, _inside(wanted, str(name))) for name, each in value.items()}
    if isinstance(value, list):
        return [_marked(each, _inside(wanted, ANY)) for each in value]
    return value


def _inside(wanted: Sequence[tuple[tuple[str, ...], str]], name: str) -> list[tuple[tuple[str, ...], str]]:
    return [(path[1:], mark) for path, mark in wanted if path[0] in (ANY, name)]


class Veil:
    """Marks in the place of known values, wherever in words or JSON they are quoted: loosely, as people write them.

    What stands in several ``sources`` has the mark of the first.
    """

    def __init__(self, sources: Sequence[tuple[Classed, object]], hide: Container[str] | None = None) -> None:
        marks: dict[str, str] = {}
        for classed, value in sources:
            for slug, paths in classed.items():
                for path in paths if hide is None or slug in hide else ():
                    for leaf in (leaf for each in values_at(value, path) for leaf in _leaves(each)):
                        marks.setdefault(leaf, mark_of(slug, path))
        self._exact = marks
        self._known: dict[int, dict[str, str]] = {}
        self._whole: dict[str, list[tuple[str, str]]] = {}
        for text in sorted(marks, key=len, reverse=True):
            core = _folded(_core(text))
            head = core[:PLENTY]
            self._known.setdefault(len(head), {}).setdefault(head, marks[text])
            if len(core) > PLENTY:
                self._whole.setdefault(head, []).append(
                    (_folded(text[match.end() if (match := APART.match(text)) else 0 :]), marks[text])
                )
        self._gap = max([GAP, *(len(gap) for text in marks for gap in APART.findall(text))])
        self._lengths = sorted(self._known, reverse=True)
        self._begins = {head[:SHORT] for heads in self._known.values() for head in heads}

    def __bool__(self) -> bool:
        return bool(self._exact)

    def text(self, text: str) -> str:
        """``text`` with a mark wherever a value stands in it.

        Values are looked up by their beginnings, not tried one after the other: there may be thousands of them.
        """
        if not self._exact:
            return text
        places = [place for place, char in enumerate(text) if char != "-" and not char.isspace()]
        core = _folded("".join([text[place] for place in places]))
        parts: list[str] = []
        done = 0
        for at in range(len(core) - SHORT + 1):
            begins = core[at : at + SHORT] in self._begins and places[at] >= done
            if begins and (hit := self._at(text, core, places, at)):
                mark, end = hit
                parts += [text[done : places[at]], mark]
                done = end
        return "".join([*parts, text[done:]])

    def _at(self, text: str, core: str, places: list[int], at: int) -> tuple[str, int] | None:
        """The mark of the longest value that begins at this letter, and where that ends in ``text``."""
        for length in self._lengths:
            head = core[at : at + length]
            mark = self._known[length].get(head)
            if mark and len(head) == length and _is_close(text, places[at : at + length], self._gap):
                begin, wholes = places[at], self._whole.get(head, [])
                rest = _folded(text[begin : begin + len(wholes[0][0])]) if wholes else ""
                whole = next(((one, begin + len(found)) for found, one in wholes if rest.startswith(found)), None)
                return whole or (mark, places[at + length - 1] + 1)
        return None

    def paths_in(self, value: Any) -> dict[str, list[list[str]]]:
        """Where in ``value`` something stands that quotes a known value, by class."""
        found: dict[str, set[tuple[str, ...]]] = {}
        for path, leaf in _places(value, ()) if self._exact else ():
            if (seen := self.over(leaf)) != leaf:
                for match in MARK.finditer(str(seen)):
                    found.setdefault(match["slug"], set()).add(path)
        return {slug: [list(path) for path in sorted(paths)] for slug, paths in sorted(found.items())}

    def over(self, value: Any) -> Any:
        """The same JSON with marks in its texts, its names, and for its large numbers."""
        if not self._exact:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(name)): self.over(each) for name, each in value.items()}
        if isinstance(value, list | tuple):
            return [self.over(each) for each in value]
        return self._exact.get(str(value), value) if _is_number(value) else value


def _places(value: object, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], object]]:
    if isinstance(value, Mapping):
        for name, each in value.items():
            yield from _places(each, (*path, str(name)))
    elif isinstance(value, list):
        for each in value:
            yield from _places(each, (*path, ANY))
    else:
        yield path, value


def _leaves(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        for each in value.values():
            yield from _leaves(each)
    elif isinstance(value, list):
        for each in value:
            yield from _leaves(each)
    elif isinstance(value, str) and len(_core(value)) >= SHORT:
        yield value.strip()
    elif _is_number(value):
        yield str(value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) >= NUMBER_FROM


def _core(text: str) -> str:
    return APART.sub("", text)


def _folded(text: str) -> str:
    """``text`` without the difference of capital and small letters, letter by letter."""
    folded = text.casefold()
    if len(folded) != len(text):
        folded = "".join([one if len(one := char.casefold()) == 1 else char.lower()[0] for char in text])
    return folded.replace("ı", "i")  # as its capital, which is that of i


def _is_close(text: str, places: Sequence[int], gap: int) -> bool:
    """Whether at most ``gap`` blanks or dashes stand between each two of these letters; what is short stands alone."""
    if any(after - before > gap + 1 for before, after in pairwise(places)):
        return False
    if len(places) > 2 * SHORT:
        return True
    around = [*text[max(0, places[0] - 1) : places[0]], *text[places[-1] + 1 : places[-1] + 2]]
    return not any(char.isalnum() or char == "_" for char in around)


def unmarked(text: str, classed: Classed, value: object, hide: Container[str]) -> str:
    """``text`` with the values of ``value`` for the marks of paths that no class in ``hide`` carries."""
    hidden = {slug: paths for slug, paths in classed.items() if slug in hide}

    def fill(match: re.Match[str]) -> str:
        slug, path = match["slug"], match["path"].split(".")
        if slug in hide or covers(hidden, path) or path not in [list(one) for one in classed.get(slug, ())]:
            return match[0]
        return ", ".join(_shown(each) for each in values_at(value, path)) or match[0]

    return MARK.sub(fill, text) if "[" in text else text


def _shown(value: object) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= SHOWN_MAX else f"{text[:SHOWN_MAX]}…"


def restored(given: Any, stored: Any, classed: Classed, hide: Container[str]) -> tuple[Any, list[str]]:
    """``given`` with what is hidden put back from ``stored``; the paths at which something else was given for it."""
    wrong: list[str] = []
    return _back(given, stored, marked(stored, classed, hide), "", wrong), wrong


def _back(new: Any, old: Any, seen: Any, path: str, wrong: list[str]) -> Any:
    """``seen`` is what stood in the place of ``old``: where they are the same, nothing was hidden."""
    if seen == old:
        return new
    if isinstance(seen, Mapping) and isinstance(new, Mapping):
        wrong += [_under(path, name) for name in old if name not in new and seen[name] != old[name]]
        return {
            name: _back(each, old[name], seen[name], _under(path, name), wrong) if name in old else each
            for name, each in new.items()
        }
    if isinstance(seen, list) and isinstance(new, list) and len(new) == len(old):
        pairs = enumerate(zip(new, old, seen, strict=True))
        return [_back(*each, _under(path, str(index)), wrong) for index, each in pairs]
    if new != seen or isinstance(seen, Mapping | list):
        wrong.append(path)
    return old


def _under(path: str, name: str) -> str:
    return f"{path}.{name}".lstrip(".")
