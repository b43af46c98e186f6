// Everything here is a convenience: each page works without it.
"use strict";
(() => {
  const body = document.body;
  const $ = (sel, root = document) => root.querySelector(sel);
  const $$ = (sel, root = document) => [...root.querySelectorAll(sel)];

  // ---- saying things to those who hear the page

  const said = $("#said");
  const say = (text) => {
    said.textContent = "";
    setTimeout(() => { said.textContent = text; }, 50);
  };

  // ---- copying commands

  const copy = async (button) => {
    const code = $("code", document.getElementById(button.dataset.copy));
    const text = code.textContent.replace(/\n+$/, ""); // a newline at the end would run it
    let ok = true;
    try {
      await navigator.clipboard.writeText(text);
    } catch { // no clipboard without TLS: select it, and try the old way
      getSelection().selectAllChildren(code);
      ok = document.execCommand("copy");
    }
    const before = button.dataset.text || (button.dataset.text = button.textContent);
    button.textContent = ok ? "Copied" : "Selected: press Ctrl+C";
    say(button.textContent);
    setTimeout(() => { button.textContent = before; }, 2000);
  };
  document.addEventListener("click", (e) => {
    const button = e.target.closest?.("[data-copy]");
    if (button) copy(button);
  });

  // ---- on a phone the list comes first: what it is filtered by opens when it is wanted

  if (matchMedia("(max-width: 40rem)").matches) for (const d of $$(".filters:not([data-keep])")) d.open = false;

  // ---- a form is sent once

  document.addEventListener("submit", (e) => {
    if (e.target.method !== "post") return;
    if (e.target.dataset.sent) return e.preventDefault();
    e.target.dataset.sent = "yes";
    setTimeout(() => { delete e.target.dataset.sent; }, 5000);
  });

  // ---- showing what has changed: the page is asked for again, and its parts are
  // put in the place of the old ones

  const typing = (el) => $$("input, textarea, select", el).some((f) =>
    f.type === "checkbox" ? false :
      f === document.activeElement && f.tagName !== "SELECT" || "defaultValue" in f && f.type !== "hidden" && f.value !== f.defaultValue);

  const replace = (old, next) => {
    if (old.isEqualNode(next)) return;
    if (typing(old)) { // leave what is being typed in; the rest of it goes on
      for (const part of $$("[data-part]", old)) {
        const other = part.id && next.querySelector("#" + CSS.escape(part.id));
        if (other && !typing(part)) replace(part, other);
      }
      return;
    }
    const held = document.activeElement;
    const key = old.contains(held) ? (held.id || held.closest("[data-row]")?.id) : "";
    const ticked = new Set($$("input[type=checkbox]:checked", old).map((b) => b.value));
    const open = $$("details[open]", old).map((d) => d.id);
    const rows = new Set($$("[data-row]", old).map((r) => r.id));
    const fresh = document.importNode(next, true);
    for (const b of $$("input[type=checkbox]", fresh)) if (ticked.has(b.value)) b.checked = true;
    for (const d of $$("details", fresh)) if (open.includes(d.id)) d.open = true;
    if (rows.size) for (const r of $$("[data-row]", fresh)) if (!rows.has(r.id)) r.classList.add("new");
    const news = fresh.dataset.say && fresh.dataset.say !== old.dataset.say ? fresh.dataset.say : "";
    old.replaceWith(fresh);
    ready(fresh);
    if (key) {
      const again = document.getElementById(key);
      (again?.dataset.row ? $("a", again) : again)?.focus({ preventScroll: true });
    }
    if (news) say(news);
  };

  // nonces differ each time; they are no news
  const settle = (doc) => {
    const old = $$("input[name=nonce]");
    if (old.length) for (const n of $$("input[name=nonce]", doc)) n.setAttribute("value", old[0].getAttribute("value"));
    for (const b of $$("[data-copy]", doc)) b.hidden = false;
    times.show(doc);
    return doc;
  };

  let asking = false, again = false;
  const refresh = async () => {
    if (asking) { again = true; return; }
    asking = true;
    try {
      const url = new URL(location.href);
      url.hash = "";
      url.searchParams.delete("done");
      if ($("#list")) url.searchParams.set("part", "list");
      const answer = await fetch(url, { headers: { Accept: "text/html" }, signal: AbortSignal.timeout(20000) });
      if (answer.redirected || answer.status === 401 || answer.status === 403) return location.reload();
      if (!answer.ok) throw new Error(answer.status);
      const doc = settle(new DOMParser().parseFromString(await answer.text(), "text/html"));
      for (const old of $$("[data-swap]")) {
        const next = doc.getElementById(old.id);
        if (next) replace(old, next);
      }
      if (!$("#list")) {
        if (doc.title) document.title = doc.title;
        body.dataset.poll = doc.body.dataset.poll || "";
        const [at, now] = [$("footer"), $("footer", doc)];
        if (at && now) at.replaceWith(document.importNode(now, true));
      }
      cut(false);
    } catch {
      cut(true);
    } finally {
      asking = false;
      if (again) { again = false; soon(pace); }
    }
  };
  let due = 0, last = 0, pace = 1000;
  const soon = (wait = 0) => {
    if (due) return;
    const rest = Math.max(0, last + pace - Date.now());
    due = setTimeout(() => { due = 0; last = Date.now(); refresh(); }, Math.max(wait, rest));
  };
  const cut = (is) => { $("#cut").hidden = !is; };

  // ---- following what happens

  // many who look on do not all ask at once
  const spread = (wait) => {
    pace = wait > 600 ? 1000 : 500; // few see what happens within a second
    soon(wait > 600 ? Math.random() * wait : 0);
  };
  let source, heard = 0;
  const follow = () => {
    const what = body.dataset.live;
    if (!what || source || document.hidden) return;
    heard = Date.now();
    source = new EventSource("/events?after=" + encodeURIComponent(body.dataset.seq));
    for (const kind of ["open", "beat", "incidents", "reload"]) source.addEventListener(kind, () => { heard = Date.now(); });
    source.addEventListener("incidents", (e) => {
      body.dataset.seq = e.lastEventId;
      const { incidents, wait } = JSON.parse(e.data);
      if (what === "*" || incidents.some((i) => i.id === what)) spread(wait);
    });
    source.addEventListener("reload", (e) => {
      if (e.lastEventId) body.dataset.seq = e.lastEventId;
      spread(JSON.parse(e.data).wait);
    });
    source.addEventListener("open", () => cut(false));
    source.addEventListener("error", () => {
      cut(true);
      if (source.readyState === EventSource.CLOSED) { // refused: try again in a while
        unfollow();
        setTimeout(() => { follow(); soon(); }, 5000 + Math.random() * 5000);
      }
    });
  };
  const unfollow = () => { source?.close(); source = undefined; };
  // The server is heard of every 15 s. A connection that has gone without a word, as
  // when a phone changes networks, is not told of by the browser for long.
  const anew = () => {
    if (!source) return;
    cut(true);
    unfollow();
    follow();
    soon();
  };
  setInterval(() => { if (Date.now() - heard > 40000) anew(); }, 5000);
  addEventListener("offline", () => { if (source) cut(true); });
  addEventListener("online", anew);
  // a page that nobody sees holds no connection: browsers allow six for all tabs
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return unfollow();
    follow();
    if (body.dataset.live) soon();
  });
  addEventListener("pagehide", unfollow);
  addEventListener("pageshow", (e) => { if (e.persisted) { follow(); soon(); } });
  follow();

  const poll = () => {
    const every = Number(body.dataset.poll);
    if (!every) return;
    setTimeout(async () => {
      if (!document.hidden) await refresh();
      poll();
    }, every);
  };
  poll();

  // ---- what is fetched when it is opened

  const fill = async (details) => {
    if (!details.open || details.dataset.filled) return;
    details.dataset.filled = "yes";
    try {
      const answer = await fetch(details.dataset.fetch, { headers: { Accept: "text/html" } });
      if (!answer.ok) throw new Error(answer.status);
      const main = $("main", new DOMParser().parseFromString(await answer.text(), "text/html"));
      for (const e of $$("h1, script", main)) e.remove();
      times.show(main);
      $("p", details).before(...main.childNodes);
    } catch {
      delete details.dataset.filled;
    }
  };
  const ready = (root) => {
    for (const b of $$("[data-copy]", root)) b.hidden = false;
    for (const d of $$("details[data-fetch]", root)) d.addEventListener("toggle", () => fill(d));
  };
  ready(document);

  // ---- dragging over a timeline fills the form of an override

  let drag;
  document.addEventListener("pointerdown", (e) => {
    const svg = e.target.closest?.("svg[data-schedule]");
    if (!svg || !$("#override") || e.button || e.pointerType === "touch") return; // a finger scrolls
    const at = (x) => {
      const box = svg.getBoundingClientRect();
      return Math.min(1, Math.max(0, (x - box.left) / box.width));
    };
    const chosen = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    const high = svg.viewBox.baseVal;
    chosen.setAttribute("class", "chosen");
    chosen.setAttribute("height", high.height);
    svg.append(chosen);
    drag = { svg, chosen, at, from: at(e.clientX), to: at(e.clientX), wide: high.width };
    e.preventDefault();
  });
  document.addEventListener("pointermove", (e) => {
    if (!drag) return;
    drag.to = drag.at(e.clientX);
    drag.chosen.setAttribute("x", Math.min(drag.from, drag.to) * drag.wide);
    drag.chosen.setAttribute("width", Math.abs(drag.to - drag.from) * drag.wide);
  });
  const drop = (fill) => {
    if (!drag) return;
    const { svg, chosen, from, to } = drag;
    drag = undefined;
    chosen.remove();
    if (!fill || Math.abs(to - from) < .005) return;
    const [first, last] = [Date.parse(svg.dataset.from), Date.parse(svg.dataset.to)];
    const quarter = 15 * 60 * 1000;
    const time = (part) => { // on that schedule's clock; empty where the browser does not know it
      try { return times.wall(Math.round((first + (last - first) * part) / quarter) * quarter, svg.dataset.zone); } catch { return ""; }
    };
    const box = $("#swap[open]") || $("#override"); // the form that is being filled in
    const field = (name) => $("#" + box.id + "-" + name);
    field("schedule").value = svg.dataset.schedule;
    field("from").value = time(Math.min(from, to));
    field("to").value = time(Math.max(from, to));
    field("to").dispatchEvent(new Event("change", { bubbles: true }));
    box.open = true;
    field("user").focus();
    say("The times are filled in.");
  };
  document.addEventListener("pointerup", () => drop(true));
  document.addEventListener("pointercancel", () => drop(false));

  // ---- keys

  const rows = () => $$("[data-row]");
  const here = () => document.activeElement?.closest?.("[data-row]");
  const move = (by) => {
    const all = rows();
    if (!all.length) return false;
    const at = all.indexOf(here());
    const to = at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, at + by));
    $("a", all[to]).focus();
    all[to].scrollIntoView({ block: "nearest" });
    return true;
  };
  const acknowledge = () => {
    const bulk = $("#bulk");
    if (!bulk) return press("a");
    const row = here();
    const box = row && $("input[type=checkbox]", row);
    if (!$$("[data-row] input:checked").length) {
      if (!box) return false;
      box.checked = true;
    }
    bulk.requestSubmit();
    return true;
  };
  const press = (key) => {
    const button = $(`[data-key="${key}"]`);
    button?.click();
    return Boolean(button);
  };
  const resolve = () => {
    const row = here();
    if (!row) return press("r");
    location.href = $("a", row).href + "#do-resolve";
    return true;
  };
  const keys = {
    j: ["the next incident", () => move(1)],
    k: ["the one before", () => move(-1)],
    x: ["select it", () => { const b = here() && $("input", here()); if (b) b.checked = !b.checked; return Boolean(b); }],
    a: ["acknowledge it, or what is selected", acknowledge],
    r: ["resolve it", resolve],
    u: ["times in UTC, or where you are", () => times.flip()],
    "/": ["filter", () => { const q = $("#q"); if (q) { q.closest("details").open = true; q.focus(); } return Boolean(q); }],
    "?": ["this help", () => help()],
  };
  let off = false;
  try { off = localStorage.getItem("keys") === "off"; } catch { /* storage is forbidden: keys are on */ }
  const help = () => {
    $("#help")?.remove();
    const d = document.createElement("dialog");
    d.id = "help";
    d.setAttribute("aria-labelledby", "help-title");
    const h = document.createElement("h2");
    h.id = "help-title";
    h.textContent = "Keys";
    const list = document.createElement("dl");
    for (const [key, [text]] of [...Object.entries(keys), ["Enter", ["open it"]]]) {
      const dt = document.createElement("dt"), dd = document.createElement("dd"), kbd = document.createElement("kbd");
      kbd.textContent = key;
      dt.append(kbd);
      dd.textContent = text;
      list.append(dt, dd);
    }
    const toggle = document.createElement("button");
    const name = () => { toggle.textContent = off ? "Turn keys on" : "Turn keys off"; };
    name();
    toggle.type = "button";
    toggle.addEventListener("click", () => {
      off = !off;
      try { localStorage.setItem("keys", off ? "off" : "on"); } catch { /* until the page is left */ }
      name();
    });
    const close = document.createElement("button");
    close.type = "button";
    close.textContent = "Close";
    close.autofocus = true;
    close.addEventListener("click", () => d.close());
    const row = document.createElement("p");
    row.className = "buttons";
    row.append(close, toggle);
    d.append(h, list, row);
    body.append(d);
    d.showModal();
    return true;
  };
  const button = $("#keys");
  if (button) {
    button.hidden = false;
    button.addEventListener("click", help);
  }
  document.addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.altKey || e.metaKey || e.isComposing || $("dialog[open]")) return;
    if (e.target.closest("input:not([type=checkbox]), textarea, select, [contenteditable]")) return;
    if (off) return;
    if (keys[e.key]?.[1]()) e.preventDefault();
  });
  if (location.hash === "#do-resolve") $("#do-resolve")?.focus();
})();
