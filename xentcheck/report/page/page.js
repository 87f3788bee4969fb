"use strict";
(() => {
  // ---- small tools -------------------------------------------------------------------------
  const byId = (id) => document.getElementById(id);
  const once = (work) => {
    let promise = null;
    return () => (promise ??= work());
  };

  /** An element. Children that are strings become text, never markup. */
  function make(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value === null || value === undefined || value === false) continue;
      if (typeof value === "function") node.addEventListener(name, value);
      else node.setAttribute(name, value === true ? "" : value);
    }
    node.append(...children.filter((child) => child !== null && child !== undefined));
    return node;
  }

  async function unpacked(id) {
    const raw = atob(byId(id).textContent);
    const bytes = new Uint8Array(raw.length);
    for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }
  const text = async (id) => new TextDecoder().decode(await unpacked(id));
  const json = async (id) => JSON.parse(await text(id));
  const say = (words) => (byId("said").textContent = words);

  // ---- numbers, as in the other formats ------------------------------------------------------
  const LARGEST = Number.MAX_VALUE;
  const short = (words) => words.replace("e+", "e");
  function scientific(value) {
    if (value === null) return "-";
    return value === 0 || !isFinite(value) ? String(value) : short(value.toExponential(1));
  }
  function ulps(value) {
    if (value === null) return "-";
    if (value >= LARGEST) return ">1e308";
    if (value === 0) return "0";
    if (value < 99.95) return value.toFixed(value < 9.995 ? 2 : 1);
    return value < 9999.5 ? value.toFixed(0) : scientific(value);
  }
  const counted = (number, noun) => `${number.toLocaleString("en-US")} ${noun}${number === 1 ? "" : "s"}`;
  const WRITERS = {
    rows: (value) => (value === null ? "" : value.toLocaleString("en-US")),
    excess_bits: (value) => (value === null ? "-" : value.toFixed(1)),
    max_abs: scientific,
    max_norm: scientific,
  };
  WRITERS.failing = WRITERS.rows;
  const written = (column, value) => (WRITERS[column.name] || ulps)(value);

  // ---- links: "#section&name=value&…" ------------------------------------------------------------
  function place() {
    const [section, ...rest] = location.hash.slice(1).split("&");
    return { section, params: new URLSearchParams(rest.join("&")) };
  }
  function linkTo(section, params) {
    const kept = Object.entries(params).filter(([, value]) => value !== "" && value !== null);
    return `#${[section, new URLSearchParams(kept).toString()].filter(Boolean).join("&")}`;
  }

  // ---- theme -----------------------------------------------------------------------------------
  const THEMES = { auto: "light dark", light: "light", dark: "dark" };
  let theme = "auto";
  function setTheme(name) {
    theme = name in THEMES ? name : "auto";
    document.documentElement.style.colorScheme = theme === "auto" ? "" : THEMES[theme];
    const button = byId("theme");
    button.textContent = `Theme: ${theme}`;
    button.setAttribute("aria-label", `Theme: ${theme === "auto" ? "as the system" : theme}`);
  }
  try {
    setTheme(localStorage.getItem("xentcheck-theme") || "auto");
  } catch {
    setTheme("auto");
  }
  byId("theme").addEventListener("click", () => {
    const names = Object.keys(THEMES);
    setTheme(names[(names.indexOf(theme) + 1) % names.length]);
    try {
      localStorage.setItem("xentcheck-theme", theme);
    } catch {
      // the choice holds for this visit
    }
  });

  // ---- copying -------------------------------------------------------------------------------------
  async function copied(words) {
    try {
      await navigator.clipboard.writeText(words);
      return true;
    } catch {
      const area = make("textarea", { class: "unseen", "aria-hidden": "true" });
      area.value = words;
      document.body.append(area);
      area.select();
      const done = document.execCommand("copy");
      area.remove();
      return done;
    }
  }
  document.addEventListener("click", async (event) => {
    const button = event.target.closest?.("button.copy");
    if (!button) return;
    const done = await copied(button.dataset.copy);
    button.focus();
    button.textContent = done ? "Copied" : "Not copied";
    say(done ? "Copied" : "The browser does not let a page copy");
    setTimeout(() => (button.textContent = "Copy"), 1500);
  });
  function told(flat) {
    const list = make("dl", { class: "told" });
    for (let i = 0; i < flat.length; i += 2) {
      const value = make("dd");
      if (flat[i] === "replay" && flat[i + 1].startsWith("xentcheck ")) {
        value.append(make("code", { class: "command" }, flat[i + 1]), " ");
        value.append(make("button", { type: "button", class: "copy", "data-copy": flat[i + 1] }, "Copy"));
      } else value.append(flat[i + 1]);
      list.append(make("div", {}, make("dt", {}, flat[i]), value));
    }
    return list;
  }

  let data, columns, size, names;
  const details = once(() => json("details"));

  // ---- the heat map --------------------------------------------------------------------------------------
  const groups = new Map(); // loss → implementation → "dtype quantity" → line
  function legend() {
    const used = new Set(data.lines.tone);
    const kinds = new Set(data.lines.kinds.flatMap((pairs) => pairs.slice(0, 1).map(([kind]) => kind)));
    const list = byId("legend");
    for (const [name, [letter, says]] of Object.entries(data.tones))
      if (used.has(name))
        list.append(make("li", { title: says }, make("span", { class: `tone ${name}` }, letter), ` ${name}`));
    data.kinds.forEach(([name, shape, says], kind) => {
      if (shape && kinds.has(kind)) list.append(make("li", { title: says }, `${shape} ${name}`));
    });
    list.append(make("li", {}, `number: ${data.number}`));
  }
  function matrix() {
    const lines = data.lines;
    lines.loss.forEach((loss, line) => {
      if (!groups.has(loss)) groups.set(loss, new Map());
      const rows = groups.get(loss);
      const name = lines.implementation[line];
      if (!rows.has(name)) rows.set(name, new Map());
      rows.get(name).set(`${lines.dtype[line]} ${lines.quantity[line]}`, line);
    });
    const select = byId("matrix-loss");
    select.append(make("option", { value: "" }, "all"));
    for (const loss of [...groups.keys()].sort()) select.append(make("option", { value: loss }, loss));
    select.addEventListener("change", () => (location.hash = linkTo("matrix", { loss: select.value })));
    byId("matrix").hidden = groups.size === 0;
    legend();
    drawMatrix("");
  }
  let drawing = 0;
  function drawMatrix(loss) {
    const box = byId("matrix-tables");
    const turn = ++drawing;
    const waiting = [...groups].filter(([name]) => !loss || name === loss);
    box.replaceChildren();
    byId("matrix-loss").value = loss;
    // What a screen shows comes at once; the rest when the browser has time.
    const some = (deadline) => {
      while (turn === drawing && waiting.length) {
        box.append(heat(...waiting.shift()));
        if (deadline ? deadline.timeRemaining() < 5 : box.children.length > 1) break;
      }
      if (turn === drawing && waiting.length) (window.requestIdleCallback || setTimeout)(some);
      else mark();
    };
    some(null);
  }
  function heat(loss, rows) {
    const lines = data.lines;
    const all = [...rows.values()].flatMap((each) => [...each.values()]);
    const dtypes = [...new Set(all.map((line) => lines.dtype[line]))].sort(
      (one, other) => data.dtypes.indexOf(one) - data.dtypes.indexOf(other),
    );
    const quantities = ["value", "gradient"].filter((each) => all.some((line) => lines.quantity[line] === each));
    const head = make("tr", {}, make("td", { rowspan: 2 }));
    const below = make("tr");
    for (const dtype of dtypes) {
      head.append(make("th", { scope: "colgroup", colspan: quantities.length }, dtype));
      quantities.forEach((each) => below.append(make("th", { scope: "col" }, each)));
    }
    const body = make("tbody");
    for (const [name, cells] of rows) {
      const row = make("tr", {}, make("th", { scope: "row" }, name));
      for (const dtype of dtypes)
        quantities.forEach((quantity, i) => {
          const line = cells.get(`${dtype} ${quantity}`);
          const cell = make("td", { class: i === 0 ? "apart" : null });
          if (line !== undefined) cell.append(heatCell(line));
          row.append(cell);
        });
      body.append(row);
    }
    const table = make("table", { class: "heat" }, make("caption", {}, loss), make("thead", {}, head, below), body);
    table.querySelector("a")?.setAttribute("tabindex", "0");
    table.addEventListener("keydown", walk);
    return make("div", { class: "scroll" }, table);
  }
  function heatCell(line) {
    const lines = data.lines;
    const tone = lines.tone[line];
    const [letter] = data.tones[tone] || ["·"];
    const [gravest] = lines.kinds[line];
    const shape = gravest === undefined ? "" : data.kinds[gravest[0]][1];
    const number = lines.number[line];
    const kinds = lines.kinds[line].map(([kind, rows]) => `${data.kinds[kind][0]} ${rows}`).join(", ");
    const parts = [`${lines.dtype[line]} ${lines.quantity[line]}: ${tone || "not graded"}`, lines.verdict[line], kinds];
    if (lines.ulp[line] !== null) parts.push(`${ulps(lines.ulp[line])} ulp`);
    if (number !== null) parts.push(`${data.number} ${number}`);
    const about = parts.filter(Boolean).join("; ");
    return make(
      "a",
      { class: tone || "none", href: cellLink(line), tabindex: "-1", title: about, "aria-label": about, "data-line": line },
      make("b", {}, letter),
      make("span", {}, shape),
      make("span", {}, number === null ? "" : String(number)),
    );
  }
  const cellLink = (line) =>
    linkTo("cell", {
      loss: data.lines.loss[line],
      implementation: data.lines.implementation[line],
      dtype: data.lines.dtype[line],
      quantity: data.lines.quantity[line],
    });
  /** Arrow keys walk over the cells of a heat map, Home and End to the ends of a row. */
  function walk(event) {
    const link = event.target.closest("a");
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    const ends = { Home: 0, End: -1 }[event.key];
    if (!link || (!step && ends === undefined)) return;
    event.preventDefault();
    const grid = [...link.closest("tbody").rows].map((row) => [...row.cells].map((cell) => cell.querySelector("a")));
    let row = grid.findIndex((each) => each.includes(link));
    let column = grid[row].indexOf(link);
    let next = null;
    if (step) {
      do {
        row += step[0];
        column += step[1];
        next = grid[row]?.[column];
      } while (next === null);
    } else next = grid[row].filter(Boolean).at(ends);
    if (!next) return;
    link.setAttribute("tabindex", "-1");
    next.setAttribute("tabindex", "0");
    next.focus();
  }
  function mark() {
    for (const link of document.querySelectorAll(".heat a[aria-current]")) link.removeAttribute("aria-current");
    for (const quantity of ["value", "gradient"]) {
      const line = chosen && lineOf(chosen.loss, chosen.implementation, chosen.dtype, quantity);
      if (line !== undefined && line !== null)
        document.querySelector(`.heat a[data-line="${line}"]`)?.setAttribute("aria-current", "true");
    }
  }
  const lineOf = (loss, name, dtype, quantity) => groups.get(loss)?.get(name)?.get(`${dtype} ${quantity}`);

  // ---- a cell ---------------------------------------------------------------------------------------------
  let chosen = null; // loss, implementation, dtype, quantity
  let axis = null;
  let sweep = "";
  let rivals = [];
  const word = (name, row) => {
    const column = names[name];
    return column.words[column.values[row]];
  };
  function cellsOf(loss, implementation, dtype, quantity) {
    const wanted = { loss, implementation, dtype, ...(quantity && { quantity }) };
    const codes = Object.entries(wanted).map(([name, value]) => [names[name].values, names[name].words.indexOf(value)]);
    const found = [];
    for (let row = 0; row < size; row++) if (codes.every(([values, code]) => values[row] === code)) found.push(row);
    return found;
  }
  function rivalsOf(cell) {
    const order = Object.keys(data.tones);
    const worst = (rows) =>
      Math.min(...[...rows].filter(([key]) => key.startsWith(`${cell.dtype} `)).map(([, line]) => order.indexOf(data.lines.tone[line])));
    return [...(groups.get(cell.loss) || [])]
      .filter(([name, rows]) => name !== cell.implementation && [...rows.keys()].some((key) => key.startsWith(`${cell.dtype} `)))
      .sort(([, one], [, other]) => worst(other) - worst(one))
      .map(([name]) => name);
  }
  async function openCell(params, focus) {
    const [first] = data.lines.loss.length ? [0] : [];
    const value = (name) => params.get(name) || (first === undefined ? "" : data.lines[name][first]);
    const next = { loss: value("loss"), implementation: value("implementation"), dtype: value("dtype"), quantity: value("quantity") };
    const rows = cellsOf(next.loss, next.implementation, next.dtype);
    const box = byId("cell");
    box.hidden = rows.length === 0;
    if (!rows.length) {
      if (focus) say("This report has no such cell");
      return;
    }
    const same = chosen && ["loss", "implementation", "dtype"].every((name) => chosen[name] === next[name]);
    chosen = next;
    sweep = params.get("sweep") || "";
    if (params.get("axis")) axis = params.get("axis");
    if (!same) rivals = data.sides ? [] : rivalsOf(next).slice(0, 1);
    const heading = byId("cell-heading");
    heading.textContent = `${next.implementation}: ${next.loss} in ${next.dtype}`;
    byId("cell-about").textContent = ["value", "gradient"]
      .map((quantity) => [quantity, lineOf(next.loss, next.implementation, next.dtype, quantity)])
      .filter(([, line]) => line !== undefined)
      .map(([quantity, line]) => `${quantity}: ${aboutLine(line)}`)
      .join(" · ");
    controls(rows);
    rangesOf(next);
    mark();
    if (focus) {
      box.scrollIntoView();
      heading.focus({ preventScroll: true });
    }
    await Promise.all([detailsOf(rows), whenSeen()]);
  }
  function aboutLine(line) {
    const lines = data.lines;
    const kinds = lines.kinds[line].map(([kind, rows]) => `${data.kinds[kind][0]} ${rows.toLocaleString("en-US")}`);
    return [lines.tone[line] || "not graded", ...kinds, lines.ulp[line] === null ? null : `max ${ulps(lines.ulp[line])} ulp`, lines.met[line]]
      .filter(Boolean)
      .join(", ");
  }
  function choice(label, options, value, change) {
    const select = make("select", { change: () => change(select.value) });
    for (const [name, shown] of options) select.append(make("option", { value: name, selected: name === value }, shown));
    return make("label", {}, `${label} `, select);
  }
  function controls(rows) {
    const box = byId("cell-controls");
    box.replaceChildren(make("a", { href: linkTo("matrix", {}) }, "Back to the heat map"));
    const sweeps = [...new Set(rows.map((row) => word("sweep", row)))];
    if (sweeps.length > 1) {
      const options = [["", "all sweeps"], ...sweeps.map((each) => [each, each])];
      box.append(choice("Sweep", options, sweep, (value) => ((sweep = value), detailsOf(rows), draw())));
    }
    if (data.axes.length > 1) {
      const options = data.axes.filter((each) => each !== "condition number").map((each) => [each, each]);
      if (options.length > 1) box.append(choice("Axis", options, axis, (value) => ((axis = value), draw())));
    }
    const others = data.sides || !data.axes.length ? [] : rivalsOf(chosen);
    if (others.length) {
      const set = make("fieldset", {}, make("legend", {}, `Laid over it, ${data.most - 1} at most`));
      for (const name of others) {
        const input = make("input", { type: "checkbox", checked: rivals.includes(name) });
        input.addEventListener("change", () => {
          rivals = rivals.filter((each) => each !== name);
          if (input.checked) rivals.push(name);
          for (const each of set.querySelectorAll("input")) each.disabled = !each.checked && rivals.length >= data.most - 1;
          draw();
        });
        set.append(make("label", {}, input, ` ${name}`));
      }
      box.append(others.length > 8 ? make("details", {}, make("summary", {}, "Competitors"), set) : set);
    }
  }
  function rangesOf(cell) {
    const found = data.ranges.filter((each) => ["loss", "implementation", "dtype"].every((name) => each[name] === cell[name]));
    const lost = found.filter((each) => each.breaks.length);
    const list = make("ul");
    for (const each of lost) list.append(make("li", {}, `${each.quantity}: ${each.text}`));
    byId("cell-ranges").replaceChildren(...(lost.length ? [make("h3", {}, "Where it holds"), list] : []));
  }
  async function detailsOf(rows) {
    const all = await details();
    const box = byId("cell-details");
    const shown = rows.filter((row) => !sweep || word("sweep", row) === sweep);
    const first = shown.find((row) => word("quantity", row) === chosen.quantity) ?? shown[0];
    box.replaceChildren(make("h3", {}, data.findings));
    for (const row of shown) {
      const name = `${word("quantity", row)}, sweep ${word("sweep", row)}`;
      const part = make("details", { class: "finding", open: row === first });
      part.append(make("summary", {}, `${name}: ${all[row].map(([head]) => head).join(", ") || "nothing to show"}`));
      for (const [head, flat] of all[row]) part.append(make("h4", {}, head), told(flat));
      const link = linkTo("cell", { ...chosen, quantity: word("quantity", row), sweep: word("sweep", row) });
      part.append(make("p", { class: "links" }, make("a", { href: link }, "link to this cell")));
      box.append(part);
    }
  }

  // ---- charts ---------------------------------------------------------------------------------------------
  const library = once(async () => {
    const script = make("script");
    script.textContent = await text("library");
    document.head.append(script);
  });
  const profiles = once(async () => {
    const bytes = await unpacked("profiles");
    const read = {};
    let at = 0;
    for (const [name, length] of data.profiles.columns) {
      const column = new Uint32Array(length);
      for (let plane = 0; plane < 4; plane++)
        for (let i = 0; i < length; i++) column[i] |= bytes[at++] << (8 * plane);
      read[name] = column;
    }
    const found = new Map(); // "cell axis" → [first bin, end]
    let bin = 0;
    read.cell.forEach((cell, i) => {
      found.set(`${cell} ${data.profiles.axes[read.axis[i]]}`, [bin, bin + read.bins[i]]);
      bin += read.bins[i];
    });
    const edges = data.profiles.edges.map(Number);
    const error = (code) => (code === 0 ? null : code === 1 ? 0 : 2 ** (code / data.profiles.steps - 1100));
    return { ...read, found, edges, error };
  });
  const SIGNED = new Set(["largest logit", "gap", "offset"]);
  const LEAST = 0.01;
  const position = (along, number) => (SIGNED.has(along) ? Math.asinh(number / 2) / Math.LN10 : Math.max(number, LEAST));

  /** The bins of some cells along an axis; bins with the same edges become one. */
  function joined(all, cells, along) {
    const made = new Map();
    for (const cell of cells) {
      const [first, end] = all.found.get(`${cell} ${along}`) || [0, 0];
      for (let i = first; i < end; i++) {
        const key = `${all.low[i]} ${all.high[i]}`;
        const bin = made.get(key) || { low: all.edges[all.low[i]], high: all.edges[all.high[i]], rows: 0, failing: 0, nan: 0, infinite: 0, ulp: null };
        for (const name of ["rows", "failing", "nan", "infinite"]) bin[name] += all[name][i];
        const error = all.error(all.ulp[i]);
        if (error !== null) bin.ulp = Math.max(bin.ulp ?? 0, error);
        made.set(key, bin);
      }
    }
    return [...made.values()].sort((one, other) => one.low - other.low || one.high - other.high);
  }
  function rowsOf(name, along, bins) {
    const total = bins.reduce((sum, each) => sum + each.rows, 0);
    return bins.map((each) => {
      const x = position(along, each.low);
      const x2 = position(along, each.high);
      const mid = SIGNED.has(along) ? (x + x2) / 2 : Math.sqrt(x * x2);
      const ulp = each.ulp === null ? null : Math.max(each.ulp, LEAST);
      return { series: name, x, x2, mid, low: each.low, high: each.high, rows: each.rows, failing: each.failing, share: each.rows / total, ulp };
    });
  }
  function bandsOf(along, bins) {
    const made = [];
    for (const each of bins)
      for (const [what, rows] of [["NaN", each.nan], ["inf", each.infinite]]) {
        if (!rows) continue;
        const x = position(along, each.low);
        const x2 = position(along, each.high);
        const last = made.findLast((band) => band.what === what);
        if (last && last.x2 === x) Object.assign(last, { x2, rows: last.rows + rows });
        else made.push({ what, x, x2, rows });
      }
    return made;
  }
  function ticksOf(along, rows) {
    if (!SIGNED.has(along) || !rows.length) return [];
    const low = Math.min(...rows.map((each) => each.x));
    const high = Math.max(...rows.map((each) => each.x2));
    const step = Math.max(1, Math.ceil((high - low) / 10));
    const found = [0];
    for (let power = 0; power < 309; power += step) for (const sign of [-1, 1]) found.push(sign * position(along, 10 ** power));
    return found.filter((each) => low <= each && each <= high).sort((one, other) => one - other);
  }
  // The style sheet has the colours of text and axes, so themes and print need no other drawing.
  const plain = () => ({ background: "transparent", font: getComputedStyle(document.body).fontFamily, aria: false });
  let views = [];
  let turn = 0;
  let seen = false;
  const observer = new IntersectionObserver((entries) => {
    if (!entries.some((each) => each.isIntersecting)) return;
    observer.disconnect();
    seen = true;
    draw();
  });
  async function whenSeen() {
    if (seen) await draw();
    else observer.observe(byId("cell"));
  }
  const redraw = () => seen && draw();
  async function draw() {
    if (!chosen || !data.axes.length) return;
    const mine = ++turn;
    const [all] = await Promise.all([profiles(), library()]);
    if (mine !== turn) return;
    views.forEach((view) => view.finalize());
    views = [];
    const box = byId("cell-charts");
    box.replaceChildren();
    if (!data.axes.includes(axis)) axis = null;
    const quantities = ["value", "gradient"].filter((each) => lineOf(chosen.loss, chosen.implementation, chosen.dtype, each) !== undefined);
    const parts = [
      [axis ?? data.axes[0], "largest error"],
      ["error", "distribution of the errors"],
      ...(data.axes.includes("condition number") && (axis ?? data.axes[0]) !== "condition number" ? [["condition number", "largest error against the condition number"]] : []),
    ];
    for (const [along, what] of parts) {
      const row = make("div", { class: "charts" });
      box.append(row);
      for (const quantity of quantities) {
        const series = seriesOf(all, quantity, along);
        if (series.every(([, bins]) => !bins.length)) continue;
        const caption = `${quantity}: ${what}${what === "largest error" ? ` against ${along}` : ""}`;
        row.append(chart(along, quantity, caption, series));
      }
    }
    // The boxes have their widths only after the page is laid out.
    for (const figure of box.querySelectorAll("figure")) await figure.show();
    document.documentElement.dataset.drawn = String(mine);
  }
  function seriesOf(all, quantity, along) {
    const rows = (name) => cellsOf(chosen.loss, name, chosen.dtype, quantity).filter((row) => !sweep || word("sweep", row) === sweep);
    if (data.sides) return data.sides.map((side, i) => [side, joined(all, rows(chosen.implementation).map((row) => row + i * size), along)]);
    return [chosen.implementation, ...rivals].map((name) => [name, joined(all, rows(name), along)]);
  }
  function chart(along, quantity, caption, series) {
    const drawn = series.filter(([, bins]) => bins.length);
    const rows = drawn.flatMap(([name, bins]) => rowsOf(name, along, bins));
    const line = lineOf(chosen.loss, chosen.implementation, chosen.dtype, quantity);
    const limit = data.lines.limit?.[line] ?? null;
    const shownBins = drawn.at(-1) && (data.sides ? drawn.at(-1)[1] : drawn.find(([name]) => name === chosen.implementation)?.[1] || []);
    const low = Math.min(...rows.map((each) => each.x));
    const high = Math.max(...rows.map((each) => each.x2));
    const breaks = data.ranges
      .filter((each) => each.axis === along && each.quantity === quantity && ["loss", "implementation", "dtype"].every((name) => each[name] === chosen[name]))
      .flatMap((each) => each.breaks.map(({ number, text }) => ({ x: position(along, number), text })))
      .filter(({ x }) => low <= x && x <= high)
      .sort((one, other) => one.x - other.x);
    let last = -Infinity;
    for (const each of breaks)
      if (each.x - last < (high - low) / 25) each.text = "";
      else last = each.x;
    const spec = structuredClone(data.figures[along]);
    spec.datasets = {
      bins: rows,
      bands: along === "error" ? [] : bandsOf(along, shownBins),
      limits: limit === null ? [] : [{ ulp: Math.max(limit, LEAST), text: `${data.lines.limit_name[line]} ${short(String(limit))} ulp` }],
      breaks,
      conditioned: [low, Math.min(Math.max(low, 1), high), high].map((x) => ({ x, ulp: 4 * Math.max(x, 1) })),
    };
    spec.params = spec.params.map((each) => ({ ...each, value: each.name === "names" ? drawn.map(([name]) => name) : ticksOf(along, rows) }));
    spec.config = plain();
    spec.autosize = { type: "fit", contains: "padding" };
    const box = make("div", { class: "chart", role: "img", "aria-label": `${caption}. ${summary(drawn)}` });
    const figure = make("figure", {}, make("figcaption", {}, caption), box, numbers(caption, drawn));
    figure.show = async () => {
      spec.width = Math.max(240, Math.floor(box.getBoundingClientRect().width) - 2);
      spec.height = 290;
      const options = { mode: "vega-lite", renderer: "svg", actions: false, hover: false, logLevel: 1 };
      const made = await window.vegaEmbed(box, spec, { ...options });
      box.querySelector("svg").setAttribute("aria-hidden", "true"); // the box has the text
      views.push(made);
    };
    return figure;
  }
  const summary = (series) =>
    series
      .map(([name, bins]) => {
        const worst = Math.max(...bins.map((each) => each.ulp ?? -1));
        const lost = bins.reduce((sum, each) => sum + each.nan + each.infinite, 0);
        return `${name}: at most ${ulps(worst < 0 ? null : worst)} ulp${lost ? `, ${counted(lost, "row")} NaN or infinite` : ""}`;
      })
      .join("; ");
  function numbers(caption, series) {
    const body = make("tbody");
    const head = make("tr");
    for (const each of ["name", "from", "to", "rows", "failing", "NaN", "inf", "max ulp"]) head.append(make("th", { scope: "col" }, each));
    const fold = make("details", {}, make("summary", {}, "Numbers"));
    fold.addEventListener("toggle", () => {
      if (body.children.length) return;
      for (const [name, bins] of series)
        for (const each of bins) {
          const row = make("tr", {}, make("th", { scope: "row" }, name));
          for (const value of [short(String(each.low)), short(String(each.high)), each.rows, each.failing, each.nan, each.infinite, ulps(each.ulp)])
            row.append(make("td", { class: "number" }, String(value)));
          body.append(row);
        }
    });
    fold.append(make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Numbers: ${caption}` }, make("table", {}, make("thead", {}, head), body)));
    return fold;
  }

  // ---- the table --------------------------------------------------------------------------------------------
  const PAGE = 50;
  const filters = new Map(); // column → text
  let search = "";
  let sorted = null; // [column, ascending]
  let page = 0;
  let shownRows = new Uint32Array(0);
  let haystack = null;
  const orders = new Map();

  /** What a filter of a number column allows: "> 4", "<= 1e3", "2..8", "5", "none". */
  function numberTest(words) {
    const clean = words.trim().toLowerCase();
    if (clean === "none" || clean === "-") return (value) => value === null;
    const range = clean.match(/^(.+?)\s*\.\.\s*(.+)$/);
    if (range) {
      const [low, high] = [Number(range[1]), Number(range[2])];
      return isNaN(low) || isNaN(high) ? null : (value) => value !== null && low <= value && value <= high;
    }
    const [, sign, digits] = clean.match(/^(<=|>=|<|>|=)?\s*(.*)$/);
    const bound = digits === "inf" ? Infinity : Number(digits);
    if (digits === "" || isNaN(bound)) return null;
    const tests = { "<": (v) => v < bound, "<=": (v) => v <= bound, ">": (v) => v > bound, ">=": (v) => v >= bound };
    const test = tests[sign] || ((v) => v === bound);
    return (value) => value !== null && test(value);
  }
  function testOf(column, words) {
    if (column.sort === "word") {
      const code = column.words.indexOf(words === "(none)" ? "" : words);
      return (row) => column.values[row] === code;
    }
    if (column.sort === "number") {
      const test = numberTest(words);
      return test && ((row) => test(column.values[row]));
    }
    const lower = words.toLowerCase();
    return (row) => column.values[row].toLowerCase().includes(lower);
  }
  function orderOf(column, ascending) {
    const key = `${column.name} ${ascending}`;
    if (!orders.has(key)) {
      const order = Uint32Array.from({ length: size }, (_, row) => row);
      const sign = ascending ? 1 : -1;
      const { values } = column;
      // Missing numbers come last in both directions.
      order.sort((one, other) => {
        const [a, b] = [values[one], values[other]];
        if (a === b) return one - other;
        if (a === null) return 1;
        if (b === null) return -1;
        return a < b ? -sign : sign;
      });
      orders.set(key, order);
    }
    return orders.get(key);
  }
  function apply() {
    const start = performance.now();
    const tests = [];
    for (const [name, words] of filters) {
      const test = testOf(names[name], words);
      document.querySelector(`[data-filter="${name}"]`)?.setAttribute("aria-invalid", String(test === null));
      if (test) tests.push(test);
    }
    if (search) {
      haystack ??= texts();
      const parts = search.toLowerCase().split(/\s+/).filter(Boolean);
      tests.push((row) => parts.every((part) => haystack[row].includes(part)));
    }
    const order = sorted ? orderOf(names[sorted[0]], sorted[1]) : orderOf({ name: "", values: new Uint32Array(size) }, true);
    shownRows = tests.length ? order.filter((row) => tests.every((test) => test(row))) : order;
    page = Math.min(page, Math.max(0, Math.ceil(shownRows.length / PAGE) - 1));
    show();
    performance.measure("filter", { start, end: performance.now() });
  }
  function texts() {
    const parts = columns.filter((each) => each.sort !== "number");
    return Array.from({ length: size }, (_, row) =>
      parts.map((each) => (each.sort === "word" ? each.words[each.values[row]] : each.values[row])).join(" ").toLowerCase(),
    );
  }
  function show() {
    const body = document.createDocumentFragment();
    for (const row of shownRows.subarray(page * PAGE, (page + 1) * PAGE)) {
      const line = make("tr");
      columns.forEach((column, i) => {
        const value = column.values[row];
        if (column.sort === "number") return line.append(make("td", { class: "number" }, written(column, value)));
        const shown = column.sort === "word" ? column.words[value] : value;
        const tone = column.name === data.toned && shown in data.tones ? make("span", { class: `tone ${shown}` }, data.tones[shown][0]) : null;
        const link = { loss: word("loss", row), implementation: word("implementation", row), dtype: word("dtype", row), quantity: word("quantity", row), sweep: word("sweep", row) };
        const content = column.name === "implementation" ? make("a", { href: linkTo("cell", link) }, shown || "(no name)") : tone ? `\u00a0${shown}` : shown;
        const scope = i === 0 ? null : { class: column.sort === "text" ? "text" : "name" };
        return line.append(make("td", scope || {}, tone, content));
      });
      body.append(line);
    }
    byId("table").tBodies[0].replaceChildren(body);
    byId("found").textContent = shownRows.length === size ? counted(size, data.row) : `${shownRows.length.toLocaleString("en-US")} of ${counted(size, data.row)}`;
    const pages = Math.max(1, Math.ceil(shownRows.length / PAGE));
    const move = (step) => () => {
      page += step;
      show();
      byId("pages").querySelector(step > 0 ? "button:last-of-type" : "button")?.focus();
    };
    byId("pages").replaceChildren(
      make("button", { type: "button", disabled: page === 0, click: move(-1) }, "Previous"),
      make("span", {}, `page ${page + 1} of ${pages.toLocaleString("en-US")}`),
      make("button", { type: "button", disabled: page >= pages - 1, click: move(1) }, "Next"),
    );
  }
  function head() {
    const labels = make("tr");
    const fields = make("tr", { class: "filters" });
    for (const column of columns) {
      const button = make("button", { type: "button", title: column.title || null, click: () => sortBy(column) }, column.label);
      labels.append(make("th", { scope: "col", "data-column": column.name }, button));
      const label = `Filter by ${column.label}`;
      let field;
      if (column.sort === "word") {
        field = make("select", { "aria-label": label, change: () => filterBy(column, field.value) });
        field.append(make("option", { value: "" }, "all"));
        for (const each of column.words) field.append(make("option", { value: each || "(none)" }, each || "(none)"));
      } else {
        const hint = column.sort === "number" ? "> 4, 2..8" : "";
        field = make("input", { type: "text", "aria-label": label, placeholder: hint, input: () => filterBy(column, field.value) });
      }
      field.dataset.filter = column.name;
      fields.append(make("td", {}, field));
    }
    byId("table").tHead.append(labels, fields);
  }
  function sortBy(column) {
    const [name, ascending] = sorted || [];
    // Numbers begin with the largest: the worst is what one looks for.
    const first = column.sort !== "number";
    if (name !== column.name) sorted = [column.name, first];
    else sorted = ascending === first ? [column.name, !first] : null;
    page = 0;
    markSort();
    apply();
    remember();
  }
  function markSort() {
    for (const cell of byId("table").tHead.querySelectorAll("th")) {
      const mine = sorted && sorted[0] === cell.dataset.column;
      if (mine) cell.setAttribute("aria-sort", sorted[1] ? "ascending" : "descending");
      else cell.removeAttribute("aria-sort");
      const label = names[cell.dataset.column].label;
      cell.querySelector("button").textContent = mine ? `${label} ${sorted[1] ? "↑" : "↓"}` : label;
    }
  }
  function filterBy(column, words) {
    if (words.trim() === "") filters.delete(column.name);
    else filters.set(column.name, words);
    page = 0;
    apply();
    remember();
  }
  /** The state of the table as a link. It replaces the present one: typing makes no history. */
  function remember() {
    const params = { ...(search && { search }), ...Object.fromEntries(filters) };
    if (sorted) params.sort = `${sorted[1] ? "" : "-"}${sorted[0]}`;
    history.replaceState(null, "", linkTo("measurements", params));
  }
  function openTable(params) {
    filters.clear();
    search = params.get("search") || "";
    byId("search").value = search;
    for (const field of document.querySelectorAll("[data-filter]")) {
      field.value = params.get(field.dataset.filter) || "";
      if (field.value) filters.set(field.dataset.filter, field.value);
      else field.setAttribute("aria-invalid", "false");
    }
    const sort = params.get("sort") || "";
    const name = sort.replace(/^-/, "");
    sorted = name in names ? [name, !sort.startsWith("-")] : null;
    page = 0;
    markSort();
    apply();
  }
  function table() {
    head();
    byId("search").addEventListener("input", (event) => {
      search = event.target.value.trim();
      page = 0;
      apply();
      remember();
    });
    byId("clear").addEventListener("click", () => {
      openTable(new URLSearchParams());
      remember();
    });
    byId("measurements").hidden = size === 0;
  }

  // ---- the page ---------------------------------------------------------------------------------------------
  function go() {
    const { section, params } = place();
    if (section === "cell") return openCell(params, true);
    if (section === "matrix") {
      if ((params.get("loss") || "") !== byId("matrix-loss").value) drawMatrix(params.get("loss") || "");
    }
    if (section === "measurements") openTable(params);
    const target = section && byId(section);
    if (!target) return null;
    for (let fold = target.closest("details"); fold; fold = fold.parentElement?.closest("details")) fold.open = true;
    target.scrollIntoView();
    const heading = target.querySelector("h1, h2, h3") || target;
    heading.setAttribute("tabindex", "-1");
    heading.focus({ preventScroll: true });
    return null;
  }
  async function begin() {
    data = await json("data");
    for (const name of Object.keys(data.lines)) if (name === "limit") data.lines.limit = data.lines.limit.map((each) => (each === null ? null : Number(each)));
    columns = data.columns;
    names = Object.fromEntries(columns.map((each) => [each.name, each]));
    for (const column of columns)
      if (column.sort === "number") column.values = column.values.map((each) => (each === "inf" ? Infinity : each === "-inf" ? -Infinity : each));
    size = columns.length ? columns[0].values.length : 0;
    matrix();
    table();
    openTable(new URLSearchParams());
    window.addEventListener("hashchange", go);
    const opened = place().section === "cell";
    if (!opened) openCell(new URLSearchParams(), false);
    go();
    let waiting = null;
    window.addEventListener("resize", () => {
      clearTimeout(waiting);
      waiting = setTimeout(redraw, 200);
    });
    window.addEventListener("beforeprint", () => {
      for (const fold of document.querySelectorAll("#verdict details, #causes details")) fold.open = true;
    });
    document.documentElement.dataset.ready = "true";
    // A first search would have to wait for these texts.
    (window.requestIdleCallback || setTimeout)(() => (haystack ??= texts()));
  }
  begin();
})();
