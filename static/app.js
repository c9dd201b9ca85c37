// Theme, keys, panels, confirmed states, drafts, toasts. No framework, no eval, no inline handlers.
// Everything here is comfort: each form and link also works without it.
(() => {
  "use strict";
  const root = document.documentElement;
  const $ = (selector, within = document) => within.querySelector(selector);
  const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];
  const visible = (element) => element.checkVisibility() && !element.closest("[inert], [aria-busy=true]");
  const remember = (name, value) => {
    document.cookie = `${name}=${value};path=/;max-age=31536000;samesite=lax${location.protocol === "https:" ? ";secure" : ""}`;
  };

  // Theme: the server reads the cookie and writes data-theme, so no page flashes.
  const dark = () => root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  addEventListener("click", (event) => {
    if (!event.target.closest("[data-theme-set]")) return;
    event.preventDefault();
    root.dataset.theme = dark() ? "light" : "dark";
    remember("acp_theme", root.dataset.theme);
    dispatchEvent(new Event("acp:theme"));
  });

  // Copying: the buttons show where the browser can.
  if (navigator.clipboard) $$("[data-copy]").forEach((button) => {
    button.hidden = false;
    button.onclick = () => navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
  });

  // Dialogs and decision panels. A panel takes the place of the acts; while it is open keys are its own,
  // Escape closes it and Ctrl+Enter sends it.
  const opened = () => $$(".decision > [data-panel-of=acts][hidden] ~ .panel").find(visible);
  const panelOf = (name, scope) => $(`[data-panel-of="${CSS.escape(name)}"]`, scope.closest(".decision"));
  const openPanel = (name, scope) => {
    const decision = scope.closest(".decision"), left = opened()?.dataset.panelOf || "";
    $$("[data-panel-of]", decision).forEach((panel) => { panel.hidden = panel.dataset.panelOf !== name; });
    const shown = panelOf(name, scope);
    (name === "acts" ? $(`[data-panel="${CSS.escape(left)}"]`, decision) || $("button", shown)
      : $("[autofocus], input:not([type=hidden]), textarea, select", shown))?.focus();
  };
  addEventListener("click", (event) => {
    const opener = event.target.closest("[data-panel], [data-dialog], [data-dismiss], [data-toggle]");
    if (!opener) return;
    if (opener.dataset.panel && panelOf(opener.dataset.panel, opener)) {  // else the link leads there
      event.preventDefault();
      openPanel(opener.dataset.panel, opener);
    }
    if (opener.dataset.dialog) { event.preventDefault(); document.getElementById(opener.dataset.dialog)?.showModal(); }
    if ("dismiss" in opener.dataset) opener.closest(".toast")?.remove();
    if (opener.dataset.toggle) {
      const region = document.getElementById(opener.dataset.toggle);
      region.hidden = !region.hidden;
      opener.setAttribute("aria-expanded", String(!region.hidden));
    }
  });
  addEventListener("keydown", (event) => {
    const from = event.target instanceof Element ? event.target : document.body;
    const panel = from.closest("form.panel") || !from.closest("dialog[open], input, textarea, select") && opened();
    if (!panel || event.repeat) return;
    if (event.key === "Escape" && panel === opened()) {
      event.preventDefault();
      openPanel("acts", panel);
    } else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      panel.requestSubmit($("[type=submit]", panel));
    }
  });

  // Palette: a combobox over pages, ids and names. The focus stays in the field; the arrows move what is chosen.
  const palette = () => $("#palette"), options = () => $$("#palette-found [role=option]:not([aria-disabled])");
  const choose = (option) => {
    options().forEach((other) => other.setAttribute("aria-selected", String(other === option)));
    if (option) { $("#palette-text").setAttribute("aria-activedescendant", option.id); option.scrollIntoView({block: "nearest"}); }
    else $("#palette-text").removeAttribute("aria-activedescendant");
  };
  const openPalette = () => { if (!palette() || palette().open || !window.htmx) return Boolean(palette()?.open); palette().showModal(); $("#palette-text").select(); return true; };
  addEventListener("click", (event) => { if (event.target.closest(".searchbox") && !event.ctrlKey && !event.metaKey && openPalette()) event.preventDefault(); });
  addEventListener("keydown", (event) => {
    if (event.target.id !== "palette-text") return;
    const all = options(), at = all.findIndex((option) => option.getAttribute("aria-selected") === "true");
    if (event.key === "ArrowDown" || event.key === "ArrowUp") { event.preventDefault(); choose(all[(at + (event.key === "ArrowDown" ? 1 : all.length - 1)) % all.length]); }
    if (event.key === "Enter" && all[at]) { event.preventDefault(); all[at].click(); }
  });
  addEventListener("click", (event) => {
    const option = event.target.closest("#palette-found [data-href]");
    if (option?.dataset.href.startsWith("/")) location.assign(option.dataset.href);
  });
  addEventListener("htmx:afterSwap", (event) => { if (event.detail.target?.id === "palette-found") choose(options()[0]); });

  // Keys: one letter each, only outside fields and dialogs; every key presses a button that is there to be seen.
  const rows = () => $$(".item > a").filter((row) => row.checkVisibility());
  // Where one is: the row with the focus, else the open one. The focus moves at once; the item follows when its answer is
  // there, and the one asked for last wins.
  let asked = null;
  const here = () => {
    const all = rows(), at = all.indexOf(document.activeElement);
    return at >= 0 ? at : all.findIndex((row) => row.getAttribute("aria-current") === "true");
  };
  const select = (index) => {
    const all = rows(), row = all[Math.max(0, Math.min(all.length - 1, index))];
    if (!row) return;
    row.focus({preventScroll: true});
    row.scrollIntoView({block: "nearest"});
    if (asked ? row !== asked : row.getAttribute("aria-current") !== "true") { asked = row; row.click(); }
  };
  let lastPressed = "";
  const press = (key) => {
    const target = $$(`[data-key="${CSS.escape(key)}"]`, opened()).find(visible);
    if (!target || asked && target.closest("#detail")) return false; // what is shown is not what was asked for
    if (key === lastPressed && target.closest("[data-settling]")) return true; // the second of two presses
    lastPressed = key;
    if (target.matches("input, textarea, select")) target.focus();
    if (!target.matches("input:not([type=radio], [type=checkbox]), textarea, select")) target.click();
    return true;
  };
  // Selecting: X ticks the row one is at, Shift X all rows from the last tick to here.
  let lastPick = -1;
  const pick = (range) => {
    const at = Math.max(0, here());
    const boxes = rows().map((row) => $(".pick", row.parentElement));
    const from = range && lastPick >= 0 ? lastPick : at;
    const tick = range || !boxes[at]?.checked;
    boxes.slice(Math.min(from, at), Math.max(from, at) + 1).forEach((box) => { if (box) box.checked = tick; });
    lastPick = at;
    count();
  };
  const count = () => $$("[data-picked]").forEach((text) => { text.textContent = $$(".pick:checked").length || ""; });
  addEventListener("change", (event) => { if (event.target.matches(".pick")) count(); });
  addEventListener("click", (event) => {
    if (!event.target.closest("[data-pick-all]")) return;
    event.preventDefault();
    const boxes = $$("#rows .pick"), tick = boxes.some((box) => !box.checked);
    boxes.forEach((box) => { box.checked = tick; });
    count();
  });
  count();
  const moves = {
    j: () => select(here() + 1), k: () => select(Math.max(0, here() - 1)),
    o: () => $("#detail h2, #detail h1")?.focus(), u: () => rows()[Math.max(0, here())]?.focus(),
    m: () => { const thread = $("#thread"); if (thread) { thread.open = true; $("textarea", thread)?.focus(); } },
    x: () => pick(false), X: () => pick(true),
    "?": () => $("#keys")?.showModal(),
  };
  const keymap = JSON.parse(root.dataset.keymap || "{}"); // a person's own keys: what is pressed, and what pages call it
  let leader = 0;
  addEventListener("keydown", (event) => {
    const from = event.target instanceof Element ? event.target : document.body;
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") { if (openPalette() || press("ctrl+k")) event.preventDefault(); return; }
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.repeat && !"jk".includes(keymap[event.key] ?? event.key)) return;
    if (root.dataset.keys === "off" || from.closest("input:not([type=checkbox], [type=radio]), textarea, select, dialog[open], [contenteditable]")) return;
    const led = Date.now() - leader < 1200, pressed = led ? `g ${event.key}` : event.key, key = keymap[pressed] ?? pressed;
    leader = event.key === "g" && !led ? Date.now() : 0;
    if (!key || key.startsWith("g ") !== led) return;
    if (press(key)) { event.preventDefault(); return; }
    if (moves[key] && (!opened() || key === "?")) { event.preventDefault(); moves[key](); }
  });
  addEventListener("change", (event) => { if (event.target.matches("[data-submit-on-change]")) event.target.form.requestSubmit(); });

  // What the choice is about opens; nothing closes.
  addEventListener("change", (event) => {
    if (event.target.matches("[data-opens]")) $$("details[data-of]").forEach((part) => { part.open ||= part.dataset.of.split(" ").includes(event.target.value); });
  });

  // Confirmed states: a button says "Recording…" until the server has answered, and cannot be pressed twice.
  const calm = (sender) => $$("button[data-said]").filter((button) => !sender || button === sender || button.form === sender).forEach((button) => {
    button.removeAttribute("aria-busy");
    button.disabled = false;
    $(".label", button).textContent = button.dataset.said;
    delete button.dataset.said;
  });
  addEventListener("submit", (event) => {
    const button = event.submitter, form = event.target;
    if (!button || form.method === "get" || form.method === "dialog") return;
    const moved = form.closest("#decision") && "coming" in $("#detail").dataset;
    if (moved) say(said("moved"), "quiet");
    if (moved || button.getAttribute("aria-busy") === "true") { event.preventDefault(); event.stopImmediatePropagation(); return; }
    const label = $(".label", button);
    if (!label || !button.dataset.busy) return;
    button.dataset.said = label.textContent;
    label.textContent = button.dataset.busy;
    button.setAttribute("aria-busy", "true");
    setTimeout(() => { button.disabled = true; }); // after the form has been read with its submitter
  }, true);
  addEventListener("pageshow", () => calm());
  // A form that waited behind another request is read when its turn comes: it still says which button sent it.
  addEventListener("htmx:configRequest", (event) => {
    const button = event.detail.triggeringEvent?.submitter;
    if (button?.name) event.detail.parameters[button.name] = button.value;
  });

  // Drafts: what was typed survives a lost connection, a conflict and a session that ended.
  const draft = (field) => `draft:${field.dataset.draft}`;
  addEventListener("input", (event) => {
    if (event.target.dataset?.draft) try { sessionStorage.setItem(draft(event.target), event.target.value); } catch { /* full or forbidden: comfort only */ }
  });
  const land = (within) => { // what is wrong comes first
    const wrong = $$(".summary", within).find(visible);
    if (wrong) wrong.focus(); else $("[data-focus]", within)?.focus({preventScroll: true});
  };
  const restore = (within) => $$("[data-draft]", within).forEach((field) => {
    const kept = sessionStorage.getItem(draft(field));
    if (kept && !field.value) field.value = kept;
  });

  // Messages: good news leaves by itself (not while read), bad news stays.
  const say = (text, tone = "bad") => {
    const template = $("#toast-template"), region = $(".toasts");
    if (!template || !region) return;
    const toast = template.content.firstElementChild.cloneNode(true);
    toast.classList.add(tone);
    $(".text", toast).textContent = text;
    region.append(toast);
  };
  setInterval(() => $$(".toast:not(.bad)").forEach((toast) => {
    if (toast.matches(":hover, :focus-within")) return;
    toast.dataset.age = Number(toast.dataset.age || 0) + 1;
    if (Number(toast.dataset.age) >= Number(toast.dataset.stay || 8)) toast.remove();
  }), 1000);

  // htmx: busy regions cannot be decided on; failures say what was not done.
  const said = (name) => document.body.dataset[name] || "";
  addEventListener("htmx:beforeRequest", (event) => {
    const target = event.detail.target;
    if (target?.id !== "detail") return;
    target.setAttribute("aria-busy", "true");
    const row = event.detail.elt.closest?.(".item > a");
    if (row === asked) asked = null;
    if (row) target.dataset.coming = "";
    if (row) rows().forEach((other) => { if (other === row) other.setAttribute("aria-current", "true"); else other.removeAttribute("aria-current"); });
  });
  addEventListener("htmx:afterRequest", (event) => {
    event.detail.target?.removeAttribute?.("aria-busy");
    if (event.detail.target?.id === "detail") delete event.detail.target.dataset.coming;
    calm(event.detail.elt); // a form that waits behind this request is still being recorded
    if (event.detail.successful) event.detail.elt.closest?.(".toast")?.remove();
    if (event.detail.successful && event.detail.requestConfig?.verb === "post") $$("[data-draft]", event.detail.elt).forEach((field) => sessionStorage.removeItem(draft(field)));
  });
  addEventListener("htmx:responseError", (event) => {
    if (event.detail.xhr.status === 401) return; // a part that asks by itself; what a person does next leads to the door
    const id = event.detail.xhr.getResponseHeader("X-Request-Id");
    say(`${said("failed")} (${event.detail.xhr.status}${id ? `, ${id}` : ""})`);
  });
  addEventListener("htmx:sendError", () => say(said("unreachable")));
  addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target?.id !== "detail") return;
    $("#inbox")?.classList.add("open"); // on a phone the item takes the place of the list
    $("#detail").scrollTop = 0;
    if (matchMedia("(width < 900px)").matches) scrollTo(0, 0);
  });
  // What is pressed holds for the item that stood there: for as long as two clicks may be apart, one that took its place
  // is decided by no click, and the page says so.
  let shown = $("#selected")?.value;
  const settle = () => {
    const decision = $("#decision"), now = $("#selected")?.value;
    if (now === shown) return;
    shown = now;
    if (!decision) return;
    decision.dataset.settling = "";
    setTimeout(() => delete decision.dataset.settling, 500);
  };
  addEventListener("click", (event) => {
    const box = $("#decision[data-settling]")?.getBoundingClientRect(), {clientX: x, clientY: y} = event;
    if (box && event.detail && x >= box.left && x <= box.right && y >= box.top && y <= box.bottom) say(said("moved"), "quiet");
  }, true);
  addEventListener("htmx:afterSwap", (event) => { if (event.detail.target?.id === "detail") settle(); });
  addEventListener("htmx:afterSettle", (event) => {
    restore(event.detail.elt);
    land(event.detail.elt);
  });
  addEventListener("htmx:oobAfterSwap", (event) => restore(event.detail.target || document));

  // What arrives by itself is told to screen readers, the latest of five seconds at most; nothing else moves.
  let heard = -5000, next;
  const announce = (text) => {
    clearTimeout(next);
    next = setTimeout(() => { heard = performance.now(); $("#announce").textContent = text; }, Math.max(0, heard + 5000 - performance.now()));
  };
  addEventListener("htmx:afterSwap", (event) => {
    const region = event.detail.target, text = ["arrivals", "presence"].includes(region?.id) ? region.textContent.trim().replace(/\s+/g, " ") : "";
    if (text) announce(text);
  });

  // Deadlines count down from the server's clock, not from this machine's.
  const skew = Date.parse(document.body?.dataset.now || "") - Date.now() || 0;
  const left = (seconds) => {
    const s = Math.abs(Math.round(seconds)), m = Math.floor(s / 60), h = Math.floor(m / 60), d = Math.floor(h / 24);
    return s < 60 ? `${s} s` : m < 60 ? `${m} min` : h < 24 ? `${h} h${m % 60 ? ` ${m % 60} m` : ""}` : `${d} d${h % 24 ? ` ${h % 24} h` : ""}`;
  };
  setInterval(() => $$("time[data-left]").forEach((time) => {
    const seconds = (Date.parse(time.dateTime) - Date.now() - skew) / 1000;
    if (Number.isFinite(seconds) && Math.sign(seconds) === Number(time.dataset.left)) time.textContent = left(seconds);
  }), 5000);

  addEventListener("DOMContentLoaded", () => {
    restore(document);
    $$("[data-theme-set], [data-dialog], .needs-script").forEach((element) => { element.hidden = false; });
    land(document);
  });
})();
