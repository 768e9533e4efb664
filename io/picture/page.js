// Values where one points, and parts of the curves shown larger. The page is whole without it.
"use strict";
(() => {
  const EXTENT = 1000, DOTS_MAX = 80, PARTS = 5, STEPS = 8;
  const SVG = "http://www.w3.org/2000/svg";
  const charts = [...document.querySelectorAll(".chart")].map(read);
  if (!charts.length) return;
  const whole = [charts[0].first, charts[0].last];
  let range = whole;

  function read(figure) {
    const data = figure.dataset;
    const chart = {
      figure, first: +data.first, last: +data.last, low: +data.low, high: +data.high, unit: data.unit,
      logarithmic: "logarithmic" in data,
      plot: figure.querySelector(".plot"), grid: figure.querySelector(".grid"),
      xs: figure.querySelector(".xs"), ys: figure.querySelector(".ys"),
      cursor: document.createElement("div"), chosen: document.createElement("div"),
    };
    chart.curves = [...figure.querySelectorAll(".curve")].map((g) => ({
      g, name: g.dataset.name, color: [...g.classList].find((name) => /^c\d$/.test(name)),
      dense: g.classList.contains("dense"), shown: true,
      band: g.querySelector(".band"), line: g.querySelector(".line"), dots: g.querySelector(".dots"),
      points: g.dataset.values.split(";").map((point) => {
        const [step, mean, least = mean, most = mean] = point.split(" ").map(Number);
        return { step, mean, least, most };
      }),
    }));
    chart.cursor.className = "cursor";
    chart.chosen.className = "chosen";
    chart.cursor.hidden = chart.chosen.hidden = true;
    chart.plot.append(chart.cursor, chart.chosen);
    return chart;
  }

  // ---- axes: as axis.c has them ----

  function rounded(least) {
    const power = 10 ** Math.floor(Math.log10(least));
    return [1, 2, 5].map((step) => step * power).find((step) => step >= least * (1 - 1e-9)) || 10 * power;
  }

  function linear(low, high, step) {
    const ticks = [];
    for (let i = Math.ceil(low / step - 1e-6); i * step <= high + 1e-6 * step; i++) ticks.push(i * step);
    return ticks;
  }

  function decades(low, high) {
    const ticks = [], first = Math.floor(Math.log10(low)), last = Math.ceil(Math.log10(high));
    const stride = Math.max(1, Math.ceil((last - first) / 8)), within = Math.log10(high / low) < 2.5 ? [1, 2, 5] : [1];
    for (let decade = first; decade <= last; decade += stride) {
      for (const value of within.map((factor) => factor * 10 ** decade)) {
        if (value >= low && value <= high) ticks.push(value);
      }
    }
    return ticks.length > 1 ? ticks : linear(low, high, rounded((high - low) / PARTS));
  }

  function label(value, largest) {
    const [from, unit, letter] = [[1e12, 1e12, "T"], [1e9, 1e9, "G"], [1e6, 1e6, "M"], [1e5, 1e3, "k"]]
      .find((row) => largest >= row[0]) || [0, 1, ""];
    const text = String(+(value / unit).toPrecision(6));
    return (text.length > 8 ? value.toExponential(1) : text) + (value ? letter : "");
  }

  const across = (step) => (step - range[0]) / (range[1] - range[0]);
  const up = (chart, value) => chart.logarithmic ? Math.log(value / chart.low) / Math.log(chart.high / chart.low)
    : (value - chart.low) / (chart.high - chart.low);

  function fit(chart) {
    const values = [];
    for (const curve of chart.curves) {
      for (const p of curve.shown ? curve.points : []) {
        if (p.step >= range[0] && p.step <= range[1] && Number.isFinite(p.mean)) values.push(p.mean);
      }
    }
    const whole = chart.figure.dataset;
    chart.low = +whole.low;
    chart.high = +whole.high;
    if (range[0] === +whole.first && range[1] === +whole.last || !values.length) return;
    const least = values.reduce((a, b) => Math.min(a, b)), most = values.reduce((a, b) => Math.max(a, b));
    if (chart.logarithmic && least > 0) {
      const room = Math.max(most / least, 1.001) ** 0.08;
      [chart.low, chart.high] = [least / room, most * room];
    } else if (!chart.logarithmic) {
      const room = 0.08 * Math.max(most - least, 0.1 * Math.abs(most), 1e-9);
      [chart.low, chart.high] = [least - room, most + room];
    }
  }

  // ---- drawing ----

  const shows = (chart, p) => Number.isFinite(up(chart, p.mean));
  function place(chart, step, value) {
    const down = EXTENT * (1 - Math.min(2, Math.max(-1, up(chart, value))));
    return (EXTENT * across(step)).toFixed(1) + " " + down.toFixed(1);
  }

  // What is to be seen, and one point more on each side.
  function visible(points) {
    const first = points.findIndex((p) => p.step >= range[0]);
    let end = points.findIndex((p) => p.step > range[1]);
    if (end < 0) end = points.length;
    return first < 0 ? [] : points.slice(Math.max(0, first - 1), end + 1);
  }

  function drawBand(chart, points) {
    let path = "", part = [];
    for (const p of [...points, { mean: NaN }]) {
      if (shows(chart, p)) {
        part.push(p);
      } else if (part.length) {
        const above = part.map((q) => place(chart, q.step, q.most));
        const below = part.map((q) => place(chart, q.step, Math.max(q.least, chart.logarithmic ? chart.low : q.least))).reverse();
        path += "M" + [...above, ...below].join("L") + "Z";
        part = [];
      }
    }
    return path;
  }

  function drawCurve(chart, curve) {
    const points = visible(curve.points);
    let line = "", drawing = false;
    for (const p of points) {
      const shown = shows(chart, p);
      if (shown) line += (drawing ? "L" : "M") + place(chart, p.step, p.mean);
      drawing = shown;
    }
    curve.line.setAttribute("d", line);
    if (curve.band) curve.band.setAttribute("d", drawBand(chart, points));
    if (!curve.dots) {
      curve.dots = document.createElementNS(SVG, "path");
      curve.dots.setAttribute("class", "dots");
      curve.g.append(curve.dots);
    }
    const dots = points.length > DOTS_MAX ? [] : points.filter((p) => shows(chart, p));
    curve.dots.setAttribute("d", dots.map((p) => "M" + place(chart, p.step, p.mean) + "h0").join(""));
  }

  function setTicks(box, side, ticks, where) {
    const largest = ticks.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    box.replaceChildren(...ticks.map((value) => {
      const tick = document.createElement("i");
      tick.textContent = label(value, largest);
      tick.style[side] = 100 * where(value) + "%";
      return tick;
    }));
  }

  function draw(chart) {
    fit(chart);
    const xs = linear(range[0], range[1], Math.max(1, rounded((range[1] - range[0]) / STEPS)));
    const ys = chart.logarithmic ? decades(chart.low, chart.high)
      : linear(chart.low, chart.high, rounded((chart.high - chart.low) / PARTS));
    chart.grid.setAttribute("d", xs.map((x) => "M" + (EXTENT * across(x)).toFixed(1) + " 0V" + EXTENT).join("") +
      ys.map((y) => "M0 " + (EXTENT * (1 - up(chart, y))).toFixed(1) + "H" + EXTENT).join(""));
    setTicks(chart.xs, "left", xs, across);
    setTicks(chart.ys, "bottom", ys, (y) => up(chart, y));
    for (const mark of chart.plot.querySelectorAll(".mark")) {
      const at = across(+mark.dataset.step);
      mark.style.left = 100 * at + "%";
      mark.hidden = at < 0 || at > 1;
    }
    for (const curve of chart.curves) drawCurve(chart, curve);
  }

  const hint = document.querySelector(".hint"), all = hint.querySelector(".all");
  function show(first, last) {
    range = [first, last];
    all.hidden = first === whole[0] && last === whole[1];
    charts.forEach(draw);
  }

  // ---- pointing ----

  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  document.body.append(tip);

  function nearest(points, step) {
    let low = 0, high = points.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (points[middle].step < step) low = middle + 1;
      else high = middle;
    }
    return low > 0 && step - points[low - 1].step < points[low].step - step ? points[low - 1] : points[low];
  }

  function row(name, value, color) {
    const line = document.createElement("div"), left = document.createElement("span"), right = document.createElement("b");
    left.textContent = name;
    if (color) left.className = "key " + color;
    right.textContent = value;
    line.append(left, right);
    return line;
  }

  function point(chart, event) {
    const box = chart.plot.getBoundingClientRect();
    const at = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    const step = range[0] + at * (range[1] - range[0]);
    for (const other of charts) {
      other.cursor.hidden = false;
      other.cursor.style.left = 100 * at + "%";
    }
    const rows = [row("step", Math.round(step).toLocaleString("en"))];
    for (const curve of chart.curves.filter((c) => c.shown)) {
      const p = nearest(curve.points, step);
      const value = Number.isFinite(p.mean) ? +p.mean.toPrecision(5) + chart.unit : "not finite";
      rows.push(row(curve.name, curve.dense ? value : value + " at " + p.step, curve.color));
    }
    tip.replaceChildren(...rows);
    tip.hidden = false;
    const left = event.clientX + 14 + tip.offsetWidth > innerWidth ? event.clientX - 14 - tip.offsetWidth : event.clientX + 14;
    tip.style.left = Math.max(4, left) + "px";
    tip.style.top = Math.max(4, Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 4)) + "px";
    return at;
  }

  function leave() {
    tip.hidden = true;
    for (const chart of charts) chart.cursor.hidden = true;
  }

  for (const chart of charts) {
    let from = null;
    chart.plot.addEventListener("pointerdown", (event) => {
      if (event.pointerType === "touch" || event.button !== 0) return;
      from = point(chart, event);
      chart.plot.setPointerCapture(event.pointerId);
      event.preventDefault();
    });
    chart.plot.addEventListener("pointermove", (event) => {
      const at = point(chart, event);
      if (from === null) return;
      chart.chosen.hidden = false;
      chart.chosen.style.left = 100 * Math.min(from, at) + "%";
      chart.chosen.style.width = 100 * Math.abs(at - from) + "%";
    });
    chart.plot.addEventListener("pointerup", (event) => {
      const at = point(chart, event), start = from;
      from = null;
      chart.chosen.hidden = true;
      if (start === null || Math.abs(at - start) < 0.01) return;
      const [low, high] = [Math.min(at, start), Math.max(at, start)], extent = range[1] - range[0];
      if (extent * (high - low) >= 2) show(range[0] + low * extent, range[0] + high * extent);
    });
    chart.plot.addEventListener("pointercancel", () => { from = null; chart.chosen.hidden = true; leave(); });
    chart.plot.addEventListener("pointerleave", leave);
    chart.plot.addEventListener("dblclick", () => show(...whole));
    chart.figure.querySelectorAll(".key").forEach((key, i) => {
      const toggle = () => {
        const curve = chart.curves[i];
        curve.shown = !curve.shown;
        key.classList.toggle("off", !curve.shown);
        key.setAttribute("aria-pressed", String(curve.shown));
        curve.g.classList.toggle("off", !curve.shown);
        if (range !== whole) draw(chart);
      };
      key.tabIndex = 0;
      key.setAttribute("role", "button");
      key.setAttribute("aria-pressed", "true");
      key.addEventListener("click", toggle);
      key.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        toggle();
      });
    });
  }
  all.addEventListener("click", () => show(...whole));
  hint.hidden = false;
})();
