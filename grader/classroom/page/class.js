"use strict";
// Without this script the page is a plain table with everything in it; with it, the table can be searched, filtered and
// sorted, and holds only as many rows as are looked at, so that ten thousand students are as quick as ten.
document.documentElement.classList.add("loading");
document.addEventListener("DOMContentLoaded", () => {
  const STEP = 100;  // rows
  const one = (selector) => document.querySelector(selector);
  const all = (selector) => [...document.querySelectorAll(selector)];
  const table = one("#table"), body = table.tBodies[0], tools = one(".tools");
  const search = one(".search input"), told = one("output"), clear = one(".clear"), more = one(".more");
  const selects = Object.fromEntries(all(".tools select").map((select) => [select.name, select]));
  const heads = all("#table th[data-sort]"), bars = all("[data-rule]");
  const collator = new Intl.Collator(undefined, {numeric: true, sensitivity: "base"});
  const rows = [...body.rows].map((row, place) => ({row, place, data: row.dataset, text: null, name: null}));
  const fresh = {q: "", verdict: "", rule: "", sort: "name", down: false};
  let state = {...fresh, ...history.state}, sorted = rows, sortedBy = "", shown = rows, limit = STEP;

  // What is compared: without case and without accents, so that 'jose' finds 'José'.
  const plain = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
  const textOf = (item) => item.text ??= plain(`${item.row.textContent} ${item.data.also}`);
  const nameOf = (item) => item.name ??= item.row.cells[0].textContent;

  const sort = () => {
    const by = `${state.sort} ${state.down}`;
    if (by === sortedBy) return;
    const sign = state.down ? -1 : 1;
    const key = (item) => item.data[state.sort] === undefined ? NaN : +item.data[state.sort];
    const compare = (a, b) => {
      const [left, right] = [key(a), key(b)];
      if (left === right) return a.place - b.place;
      if (Number.isNaN(left) || Number.isNaN(right)) return Number.isNaN(left) - Number.isNaN(right) || a.place - b.place;
      return sign * (left - right);
    };
    const byName = (a, b) => sign * collator.compare(nameOf(a), nameOf(b)) || a.place - b.place;
    sorted = [...rows].sort(state.sort === "name" ? byName : compare);
    sortedBy = by;
  };

  const matches = () => {
    const words = plain(state.q).split(/\s+/).filter(Boolean);
    return (item) => (!state.verdict || item.data.result === state.verdict)
      && (!state.rule || item.data.failed.split(" ").includes(state.rule))
      && words.every((word) => textOf(item).includes(word));
  };

  const fill = (from) => {
    const found = shown.slice(from, limit).map((item) => item.row);
    if (from) body.append(...found); else body.replaceChildren(...found);
    const left = shown.length - limit;
    more.hidden = left <= 0;
    one(".some").textContent = `Show ${Math.min(left, STEP).toLocaleString("en")} more`;
    one(".every").textContent = `Show all ${shown.length.toLocaleString("en")}`;
  };

  const render = () => {
    sort();
    shown = sorted.filter(matches());
    limit = STEP;
    fill(0);
    const some = ["q", "verdict", "rule"].some((name) => state[name]);
    const count = (number) => number.toLocaleString("en");
    const noun = rows.length === 1 ? "student" : "students";
    told.textContent = some ? `${count(shown.length)} of ${count(rows.length)} ${noun}` : `${count(rows.length)} ${noun}`;
    one(".nobody").hidden = shown.length > 0;
    clear.hidden = !some;
    for (const head of heads) {
      const on = head.dataset.sort === state.sort;
      if (on) head.setAttribute("aria-sort", state.down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    }
    for (const bar of bars) {
      if (bar.dataset.rule === state.rule) bar.setAttribute("aria-current", "true");
      else bar.removeAttribute("aria-current");
    }
    if (search.value !== state.q) search.value = state.q;
    for (const name in selects) selects[name].value = state[name];
  };

  const change = (changes) => {
    state = {...state, ...changes};
    render();
    history.replaceState(state, "");  // so that coming back from a student's report finds the table as it was
  };
  const falls = (name) => heads.some((head) => head.dataset.sort === name && "falls" in head.dataset);
  const sortBy = (name) => change({sort: name, down: state.sort === name ? !state.down : falls(name)});

  for (const head of heads) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    button.addEventListener("click", () => sortBy(head.dataset.sort));
    head.replaceChildren(button);
  }
  search.addEventListener("input", () => change({q: search.value}));
  for (const name of ["verdict", "rule"]) {
    selects[name]?.addEventListener("change", () => change({[name]: selects[name].value}));
  }
  selects.sort.addEventListener("change", () => change({sort: selects.sort.value, down: falls(selects.sort.value)}));
  clear.addEventListener("click", () => { change({q: "", verdict: "", rule: ""}); search.focus(); });
  for (const bar of bars) {
    bar.addEventListener("click", () => change({rule: bar.dataset.rule === state.rule ? "" : bar.dataset.rule}));
  }
  const grow = (to) => { const from = limit; limit = to; fill(from); };
  one(".some").addEventListener("click", () => grow(limit + STEP));
  one(".every").addEventListener("click", () => grow(shown.length));
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, select")) return;
    event.preventDefault();
    search.focus();
  });
  addEventListener("beforeprint", () => grow(Math.max(limit, shown.length)));
  const reveal = () => {  // a link of the head leads into a list that may be closed
    const aim = document.getElementById(location.hash.slice(1));
    if (aim?.tagName === "DETAILS") aim.open = true;
  };
  addEventListener("hashchange", reveal);
  reveal();
  tools.hidden = false;
  render();
  document.documentElement.classList.remove("loading");
});
