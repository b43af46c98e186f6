// Times stand on the pages in UTC. Here they are shown on the browser's clock, or in
// UTC where that was chosen; without this script they stay as they are.
"use strict";
const times = (() => {
  const $$ = (sel, root = document) => [...root.querySelectorAll(sel)];
  const same = /^(Etc\/)?(UTC|UCT|Universal|Zulu)$/; // names of UTC
  const here = (({ timeZone }) => !timeZone || same.test(timeZone) ? "UTC" : timeZone)(Intl.DateTimeFormat().resolvedOptions());

  // ---- clocks

  const formats = new Map();
  const parts = (ms, timeZone, look, locale = "en-GB") => {
    const key = [locale, timeZone, ...Object.keys(look)].join();
    if (!formats.has(key)) formats.set(key, new Intl.DateTimeFormat(locale, { ...look, timeZone }));
    return Object.fromEntries(formats.get(key).formatToParts(ms).map((p) => [p.type, p.value]));
  };
  const digits = { year: "numeric", month: "2-digit", day: "2-digit", weekday: "short", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
  // A zone has its short name in the English of those who live there, elsewhere an offset.
  const name = (ms, zone) => {
    const names = ["en-US", "en-GB", "en-AU"].map((locale) => parts(ms, zone, { timeZoneName: "short" }, locale).timeZoneName);
    return names.find((n) => !/^GMT[+-]/.test(n)) ?? names[0];
  };
  // As a field for a time has it. A zone that the browser does not know throws.
  const wall = (ms, zone, seconds) => {
    const p = parts(ms, zone, digits);
    return `${p.year}-${p.month}-${p.day}T${p.hour}:${p.minute}${seconds ? ":" + p.second : ""}`;
  };
  const offset = (ms, zone) => Date.parse(wall(ms, zone, true) + "Z") - Math.floor(ms / 1000) * 1000;
  // When a wall clock first shows it; NaN: never, it is put forward then. The server does the same.
  const instant = (text, zone) => {
    const utc = Date.parse(text + "Z");
    if (Number.isNaN(utc)) return NaN;
    const day = 86_400_000;
    return [utc - day, utc + day].map((near) => utc - offset(near, zone)).find((ms) => offset(ms, zone) === utc - ms) ?? NaN;
  };
  const say = (ms, zone, weekday, seconds) =>
    (weekday ? parts(ms, zone, digits).weekday + " " : "") + wall(ms, zone, seconds).replace("T", " ") + " " + name(ms, zone);

  // ---- which one

  let utc = false;
  const chosen = () => {
    try { utc = localStorage.getItem("times") === "utc"; } catch { /* storage is forbidden: until the page is left */ }
  };
  const zone = () => utc ? "UTC" : here;

  // ---- what is shown

  // Only what is a time by its attribute and by what is read is touched.
  const form = /^([A-Z][a-z]{2} )?\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)? ([A-Z]{2,5}|[+-]\d\d(\d\d)?)$/;
  const show = (root) => {
    if (here === "UTC") return;
    for (const e of $$("time[datetime]", root)) {
      const ms = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(e.dateTime) ? Date.parse(e.dateTime) : NaN;
      const [fits, weekday, seconds] = form.exec(e.dataset.utc ?? e.textContent) ?? [];
      if (!fits || Number.isNaN(ms)) continue;
      delete e.dataset.other;
      const on = (clock) => say(ms, clock, weekday, seconds);
      if ("own" in e.dataset) { // a schedule's own clock is kept to
        const mine = on(zone());
        e.title = mine === e.textContent ? "" : mine;
        continue;
      }
      if (!fits.endsWith(" UTC")) continue;
      e.dataset.utc = fits;
      e.textContent = utc ? fits : on(here);
      e.title = utc ? on(here) : fits;
    }
  };
  const age = (ms) => {
    const minutes = Math.floor(Math.abs(Date.now() - ms) / 60_000), hours = Math.floor(minutes / 60);
    const long = minutes < 1 ? "less than 1m" : hours < 1 ? `${minutes}m` : hours < 48 ? `${hours}h ${minutes % 60}m` : `${Math.floor(hours / 24)}d`;
    return ms > Date.now() ? "in " + long : long + " ago";
  };
  // How long ago is added when it is asked for: then it is true.
  for (const [event, add] of [["pointerover", true], ["pointerout", false]]) document.addEventListener(event, (e) => {
    const t = e.target.closest?.("time[title]");
    if (!t) return;
    t.dataset.other ??= t.title;
    t.title = t.dataset.other + (add ? (t.dataset.other && ", ") + age(Date.parse(t.dateTime)) : "");
    if (!add) delete t.dataset.other;
  });

  // ---- fields: those of no schedule are on the clock that is shown, and are sent in
  // UTC; those of a schedule are on its own, and what that is here is said below them

  const shift = window.FormDataEvent && ((f) => { // onto the clock that is shown
    const ms = f.dataset.on ? instant(f.value, f.dataset.on) : Date.parse(f.defaultValue + "Z");
    const seconds = f.value.length > 16 || f.defaultValue.length > 16;
    f.dataset.on = zone();
    if (!Number.isNaN(ms)) f.value = wall(ms, zone(), seconds);
    for (const label of f.labels) for (const e of $$("[data-clock]", label)) e.textContent = zone();
  });
  document.addEventListener("formdata", (e) => {
    for (const f of $$("input[data-on]", e.target)) {
      const ms = instant(f.value, f.dataset.on);
      if (f.value) e.formData.set(f.name, Number.isNaN(ms) ? f.value + " " + f.dataset.on : new Date(ms).toISOString().replace(".000", ""));
    }
  });
  const tell = (of) => {
    const box = of.querySelector("[data-here]");
    if (!box) return;
    const theirs = of.querySelector("select[name=schedule]")?.selectedOptions[0]?.dataset.zone || of.dataset.zone;
    const [from, to] = ["from", "to"].map((n) => of.elements[n].value);
    const mine = (text) => {
      const ms = instant(text, theirs);
      return Number.isNaN(ms) ? "a time that this clock leaves out" : say(ms, zone(), true);
    };
    try {
      for (const e of $$("[data-clock]", of)) if (theirs) e.textContent = "in " + theirs;
      const typed = [from && "from " + mine(from), to && "to " + mine(to)].filter(Boolean);
      box.hidden = !theirs || theirs === zone() || !typed.length;
      box.textContent = box.hidden ? "" : (utc || here === "UTC" ? "In UTC that is " : "Where you are that is ") + typed.join(" ");
    } catch { box.hidden = true; } // the browser does not know the zone
  };
  document.addEventListener("change", (e) => {
    const f = e.target;
    if (f.form) tell(f.form);
    if (f.dataset.on) f.setCustomValidity(f.value && Number.isNaN(instant(f.value, f.dataset.on)) ? "The clock is put forward then: there is no such time." : "");
  });

  // ---- the switch

  const buttons = $$("[data-times]");
  const render = () => {
    show(document);
    if (here !== "UTC" && shift) for (const f of $$("input[data-utc]")) shift(f);
    for (const f of document.forms) tell(f);
    for (const b of buttons) b.setAttribute("aria-pressed", String(utc === (b.dataset.times === "utc")));
  };
  const choose = (to) => {
    if (here === "UTC") return false;
    utc = to;
    try { localStorage.setItem("times", utc ? "utc" : "here"); } catch { /* until the page is left */ }
    render();
    return true;
  };
  chosen();
  for (const b of buttons) {
    if (here === "UTC") break;
    if (b.dataset.times === "here") {
      const whole = document.createElement("span");
      whole.className = "unseen";
      whole.textContent = " " + here;
      b.append(name(Date.now(), here), whole);
    }
    b.title = "Times in " + (b.dataset.times === "utc" ? "UTC" : here);
    b.parentElement.hidden = false;
    b.addEventListener("click", () => choose(b.dataset.times === "utc"));
  }
  addEventListener("storage", (e) => { if (e.key === "times") { chosen(); render(); } });
  render();
  return { show, wall, flip: () => choose(!utc) };
})();
