// Charts: the library is fetched once, when a figure comes near the window.
(() => {
  "use strict";
  const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];
  const pixel = document.createElement("canvas").getContext("2d", {willReadFrequently: true});

  // The sheet speaks oklch and light-dark(); the library wants rgba. A pixel translates.
  const colour = (token) => {
    const probe = document.createElement("i");
    probe.hidden = true;
    document.body.append(probe);
    probe.style.color = `var(${token})`;
    pixel.clearRect(0, 0, 1, 1);
    pixel.fillStyle = getComputedStyle(probe).color;
    probe.remove();
    pixel.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = pixel.getImageData(0, 0, 1, 1).data;
    return `rgba(${r},${g},${b},${(a / 255).toFixed(3)})`;
  };
  const paint = (value) => {
    if (typeof value === "string") return value.startsWith("--") ? colour(value) : value;
    if (Array.isArray(value)) return value.map(paint);
    if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, paint(inner)]));
    return value;
  };

  let library;
  const plotly = () => library ??= new Promise((resolve, reject) => {
    const script = document.createElement("script"), append = document.head.appendChild;
    // The full bundle adds a sheet for maps, which the policy of pages refuses.
    document.head.appendChild = (node) => node.tagName === "STYLE" ? node : append.call(document.head, node);
    const restore = () => { delete document.head.appendChild; };
    script.src = document.body.dataset.plotly;
    script.onload = () => { restore(); resolve(window.Plotly); };
    script.onerror = (event) => { restore(); reject(event); };
    document.head.append(script);
  });

  const theme = () => {
    const text = colour("--text"), muted = colour("--muted"), line = colour("--line-soft");
    const axis = {gridcolor: line, linecolor: line, zerolinecolor: line, tickfont: {color: muted, size: 11}, title: {font: {color: muted, size: 11}}, automargin: true, ticks: "", fixedrange: true};
    return {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", bargap: 0.35, hovermode: "x unified", margin: {l: 36, r: 8, t: 8, b: 28},
      font: {family: getComputedStyle(document.body).fontFamily, size: 12, color: text},
      hoverlabel: {bgcolor: colour("--raised"), bordercolor: line, font: {color: text, size: 12}},
      legend: {orientation: "h", y: 1.02, yanchor: "bottom", x: 0, font: {color: muted, size: 12}}, xaxis: {...axis, showgrid: false}, yaxis: {...axis, rangemode: "tozero"},
    };
  };

  const figureOf = (plot) => JSON.parse(plot.parentElement.querySelector("script[type='application/json']").textContent);
  const draw = async (plot) => {
    try {
      const figure = plot.figure ??= figureOf(plot), Plotly = await plotly(), base = theme(), layout = {...base, ...paint(figure.layout)};
      for (const key in layout) if (key.includes("axis")) layout[key] = {...base[key.slice(0, 5)], ...layout[key]};
      await Plotly.react(plot, paint(figure.data), layout, {displayModeBar: false, responsive: true, showSendToCloud: false});
      if (!plot.dataset.done) plot.on("plotly_click", ({event, points}) => {
        const linked = points.filter((one) => one.customdata?.startsWith?.("/")).sort((a, b) => a.curveNumber - b.curveNumber), y = event.clientY - plot.getBoundingClientRect().y;
        const hit = linked.find((one) => one.yPixel <= y) ?? linked[0]; // bars lie on each other
        if (hit) location.assign(hit.customdata);
      });
      plot.dataset.done = "1";
      plot.closest("figure")?.querySelector("[data-png]")?.removeAttribute("hidden");
    } catch {
      plot.dataset.failed = "1";
      const table = document.getElementById(plot.dataset.table || "");
      if (table) table.hidden = false; // the numbers stay
    }
  };

  const watcher = new IntersectionObserver((entries) => entries.forEach((entry) => {
    if (entry.isIntersecting) { watcher.unobserve(entry.target); draw(entry.target); }
  }), {rootMargin: "200px"});
  const watch = (within) => $$(".plot:not([data-done])", within).forEach((plot) => watcher.observe(plot));
  const redraw = () => $$(".plot[data-done]").forEach(draw);

  addEventListener("DOMContentLoaded", () => watch(document));
  addEventListener("htmx:afterSettle", (event) => watch(event.detail.elt));
  addEventListener("acp:theme", redraw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  // A picture stands alone: it says what it shows, of when, and has a ground of its own.
  const save = async (button) => {
    const plot = button.closest("figure").querySelector(".plot"), Plotly = await plotly(), {title, caption, png} = button.dataset;
    if (!plot.dataset.done) await draw(plot);
    const inert = (text) => text.replaceAll("<", "‹").replaceAll(">", "›"), ground = colour("--surface");
    const head = {text: inert(title), subtitle: {text: inert(caption), font: {size: 11}}, x: 0.02, xanchor: "left", yref: "container", y: 0.94, yanchor: "top", font: {size: 16}};
    const layout = {...plot.layout, title: head, paper_bgcolor: ground, plot_bgcolor: ground, margin: {l: 60, r: 24, t: 96, b: 48}};
    Plotly.downloadImage({data: plot.data, layout}, {format: "png", scale: 2, width: 960, height: 480, filename: png});
  };
  addEventListener("click", (event) => {
    const button = event.target.closest("[data-png]");
    if (button) save(button);
  });
})();
