"""What a page is asked in a browser about its targets and its text."""

TARGETS = """
() => {
  // WCAG 2.5.8: 24 by 24 CSS pixels; or inline in a sentence; or alone within a circle of that diameter.
  const kinds = "a[href], button, input, select, textarea, summary";
  const shown = (e) => e.checkVisibility({visibilityProperty: true, opacityProperty: true}) &&
    e.getBoundingClientRect().width > 1 && !e.closest("[inert], .vh") && !e.matches(".skip, [type=hidden], :disabled");
  const target = (e) => {
    const found = e?.closest(`${kinds}, label`);
    return found?.tagName === "LABEL" ? found.control : found;
  };
  const isInline = (e) => getComputedStyle(e).display === "inline" &&
    [...e.parentElement.childNodes].some((other) => other !== e && other.textContent.trim());
  const problems = [];
  for (const e of [...document.querySelectorAll(kinds)].filter(shown)) {
    e.scrollIntoView({block: "center", inline: "center", behavior: "instant"});
    const box = e.getBoundingClientRect();
    if (box.width >= 24 && box.height >= 24 || isInline(e)) continue;
    const hit = (dx, dy) =>
      target(document.elementFromPoint(box.x + box.width / 2 + dx, box.y + box.height / 2 + dy));
    if ([[-11.5, 0], [11.5, 0], [0, -11.5], [0, 11.5]].every(([dx, dy]) => hit(dx, dy) === e)) continue;
    const turn = (n) => n * Math.PI / 8;
    const circle = [...Array(16).keys()].map((n) => hit(12 * Math.cos(turn(n)), 12 * Math.sin(turn(n))));
    if (circle.some((other) => other && other !== e)) problems.push(`${e.outerHTML.slice(0, 120)} is too small`);
  }
  for (const e of document.querySelectorAll("*")) if (e.scrollTop || e.scrollLeft) e.scrollTo(0, 0); // as it was found
  return problems;
}
"""
"""What is too small to be hit; what stands around it, as the browser itself hits it, counts."""

SPACE_TEXT = """
() => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`* { line-height: 1.5 !important; letter-spacing: .12em !important; word-spacing: .16em !important }
    p { margin-block-end: 2em !important }`);
  document.adoptedStyleSheets = [sheet];
}
"""
"""WCAG 1.4.12: what a person may ask of any page."""

LOST = """
() => {
  const closed = "[hidden], dialog:not([open]), [popover]:not(:popover-open)";
  const hidden = `.vh, ${closed}, svg, select, textarea, script, style`;
  const shown = (e) => e.checkVisibility({visibilityProperty: true}) && !e.closest(hidden);
  const problems = [], texts = [];
  const above = function* (e) { for (; e && e !== document.body; e = e.parentElement) yield [e, getComputedStyle(e)]; };
  if (document.documentElement.scrollWidth > innerWidth) problems.push("the page scrolls sideways");
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode, parent = node.parentElement, said = node.data.trim().slice(0, 40);
    if (!said || !shown(parent)) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const ink = range.getBoundingClientRect();
    let floats = false, isCut = null, left = -Infinity, right = Infinity;
    for (const [e, look] of above(parent)) {
      if (look.clipPath === "inset(50%)") isCut = false; // only for those who hear the page
      floats ||= ["sticky", "fixed"].includes(look.position);
      const scrolls = /auto|scroll/.test(look.overflowX + look.overflowY);
      const shortens = look.textOverflow === "ellipsis" || look.webkitLineClamp !== "none";
      if (isCut === null && (scrolls || shortens)) isCut = false;
      const box = e.getBoundingClientRect();
      const clips = /hidden|clip/.test(look.overflowX + look.overflowY);
      if (clips || scrolls) [left, right] = [Math.max(left, box.left), Math.min(right, box.right)];
      if (isCut === null && clips && (ink.right > box.right + 1 || ink.bottom > box.bottom + 2)) isCut = true;
    }
    if (isCut) problems.push(`cut off: ${said}`);
    if (!floats) for (const {top, bottom, height, ...all} of range.getClientRects()) {
      const box = {top, bottom, height, left: Math.max(all.left, left), right: Math.min(all.right, right)};
      if (box.right - box.left > 2) texts.push({said, box, parent});
    }
  }
  texts.forEach((one, at) => texts.slice(at + 1).forEach((other) => {
    const [a, b] = [one.box, other.box];
    const x = Math.min(a.right, b.right) - Math.max(a.left, b.left);
    const y = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    if (x > 2 && y > Math.min(a.height, b.height) * .4 && one.parent !== other.parent)
      problems.push(`on top of each other: ${one.said} / ${other.said}`);
  }));
  return [...new Set(problems)].slice(0, 20);
}
"""
"""Text that is cut off or lies on other text. What is shortened on purpose stands whole on its own page."""
