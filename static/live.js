// Live pages: a doorbell only. An event names a topic and a version; the page then asks its own address again.
// Hidden tabs let go and look when they are back; three failures fall back to polling.
(() => {
  "use strict";
  const topics = document.body?.dataset.topics;
  if (!topics) return;
  const status = document.querySelector(".live");
  const show = (state) => {
    if (!status || status.dataset.state === state) return;
    status.dataset.state = state;
    status.querySelector(".word").textContent = status.dataset[`${state}Word`];
  };
  const versions = new Map();
  const ring = (topic, version, first = false) => {
    const known = versions.get(topic);
    versions.set(topic, version);
    if (!first && known !== version) tell(topic);
  };
  // A flood becomes one request each two seconds; the last change is never lost, as a plain throttle would lose it.
  const told = new Map(), due = new Map(), APART_MS = 2000;
  const tell = (topic) => {
    const wait = (told.get(topic) ?? -APART_MS) + APART_MS - performance.now();
    if (wait > 0) {
      if (!due.has(topic)) due.set(topic, setTimeout(() => { due.delete(topic); tell(topic); }, wait));
      return;
    }
    told.set(topic, performance.now());
    document.body.dispatchEvent(new CustomEvent(`acp:${topic}`, {detail: {version: versions.get(topic)}}));
  };
  setInterval(() => { if (!document.hidden) document.body.dispatchEvent(new Event("acp:here")); }, 15000); // who looks

  let source, timer, again, failures = 0, etag = "";
  const query = `topics=${encodeURIComponent(topics)}`;
  const poll = async () => {
    try {
      const answer = await fetch(`/live/versions?${query}`, {headers: etag ? {"If-None-Match": etag} : {}, cache: "no-store"});
      if (answer.status === 200) {
        etag = answer.headers.get("ETag") || "";
        const found = await answer.json();
        for (const [topic, version] of Object.entries(found)) ring(topic, version, !versions.has(topic));
      } else if (answer.status !== 304) throw new Error(String(answer.status));
      show("polling");
    } catch { show("offline"); }
    timer = setTimeout(poll, 15000);
  };
  const stop = () => { source?.close(); source = undefined; clearTimeout(timer); timer = undefined; };
  const start = () => {
    if (source || timer || document.hidden) return;
    if (failures >= 3 || !window.EventSource) { poll(); return; }
    source = new EventSource(`/live/?${query}`);
    source.onopen = () => { failures = 0; show("live"); if (again) topics.split(",").forEach(tell); again = true; };
    source.onmessage = (event) => { const {topic, version} = JSON.parse(event.data); ring(topic, version); };
    source.onerror = () => {
      failures += 1;
      if (source?.readyState === EventSource.CLOSED || failures >= 3) { stop(); timer = setTimeout(() => { timer = undefined; start(); }, failures >= 3 ? 0 : 3000 + Math.random() * 2000); }
    };
  };
  document.addEventListener("visibilitychange", () => document.hidden ? stop() : start());
  addEventListener("pagehide", stop);
  addEventListener("pageshow", (event) => { if (event.persisted) start(); });
  addEventListener("offline", () => { stop(); show("offline"); });
  addEventListener("online", start);
  start();
})();
