"use strict";
// The table of samples. Text is set by textContent alone, so that nothing a model wrote can run.
const PER_PAGE = 100;
const FIELDS = ["id", "task", "input", "target", "verdict", "reasons", "real", "spanRow", "realText", "spanText",
  "similarity", "nll", "from", "to"];
const MOST_OPTIONS = 500;
const rows = JSON.parse(document.getElementById("rows").textContent)
  .map((values) => Object.fromEntries(FIELDS.map((name, i) => [name, values[i]])));
for (const row of rows) {
  row.reason = row.reasons.join(", ");
  row.text = [row.id, row.input, row.target, row.reasons.join(" ")].join("\n").toLowerCase();
}
const element = (id) => document.getElementById(id);
const filters = ["task", "label", "verdict", "reason"];
let shown = rows, page = 0, sortBy = null, descending = false;

function valuesOf(filter) {
  const found = new Set();
  for (const row of rows) {
    if (filter === "reason") row.reasons.forEach((reason) => found.add(reason));
    else found.add(row[filter === "label" ? "target" : filter]);
  }
  return [...found].sort();
}

function matches(row, query, wanted) {
  return (!query || row.text.includes(query))
    && (!wanted.task || row.task === wanted.task)
    && (!wanted.label || row.target === wanted.label)
    && (!wanted.verdict || row.verdict === wanted.verdict)
    && (!wanted.reason || row.reasons.includes(wanted.reason));
}

function select() {
  const query = element("search").value.trim().toLowerCase();
  const wanted = Object.fromEntries(filters.map((name) => [name, element(name).value]));
  shown = rows.filter((row) => matches(row, query, wanted));
  if (sortBy) {
    const sign = descending ? -1 : 1;
    shown.sort((a, b) => sign * (a[sortBy] < b[sortBy] ? -1 : a[sortBy] > b[sortBy] ? 1 : 0));
  }
  page = 0;
  draw();
}

function cell(kind, text) {
  const made = document.createElement("td");
  made.className = kind;
  made.textContent = text;
  return made;
}

function marked(text, from, to) {
  if (to <= from) return [text];
  const mark = document.createElement("mark");
  mark.textContent = text.slice(from, to);
  return [text.slice(0, from), mark, text.slice(to)];
}

// The nearest real row, and the row with the marked run where that is another one.
function realCell(row) {
  const made = cell("real", "");
  if (row.real) made.append(...marked(...row.realText), row.realText[0] ? "\n(" + row.real + ")" : row.real);
  if (row.spanRow && row.spanRow !== row.real) {
    const text = row.spanText[0] ? [...marked(...row.spanText), "\n"] : [];
    made.append("\nmarked run: ", ...text, row.spanText[0] ? "(" + row.spanRow + ")" : row.spanRow);
  }
  return made;
}

function drawRow(row) {
  const line = document.createElement("tr");
  const verdict = cell("verdict-of", "");
  const badge = document.createElement("span");
  badge.className = "verdict " + row.verdict;
  badge.textContent = row.verdict;
  verdict.append(badge);
  const input = cell("input", "");
  input.append(...marked(row.input, row.from, row.to));
  line.append(cell("id", row.id), cell("task", row.task), input, cell("target", row.target), verdict,
    cell("reason", row.reason), realCell(row), cell("number", row.real ? row.similarity.toFixed(2) : ""),
    cell("number", row.nll === null ? "" : row.nll.toFixed(2)));
  return line;
}

function draw() {
  const pages = Math.max(Math.ceil(shown.length / PER_PAGE), 1);
  const part = shown.slice(page * PER_PAGE, (page + 1) * PER_PAGE);
  document.querySelector("#samples tbody").replaceChildren(...part.map(drawRow));
  element("count").textContent = shown.length + " of " + rows.length + " rows";
  element("page").textContent = "page " + (page + 1) + " of " + pages;
  element("previous").disabled = page === 0;
  element("next").disabled = page >= pages - 1;
}

for (const name of filters) {
  const values = valuesOf(name);
  const more = values.length - MOST_OPTIONS;
  const all = more > 0 ? "all (" + more + " of " + values.length + " not listed, use Search)" : "all";
  const options = [[all, ""], ...values.slice(0, MOST_OPTIONS).map((value) => [value, value])];
  element(name).replaceChildren(...options.map(([text, value]) => new Option(text, value)));
  element(name).addEventListener("change", select);
}
element("search").addEventListener("input", select);
element("filters").addEventListener("submit", (event) => event.preventDefault());
function turn(by) {
  page += by;
  draw();
  // a disabled button loses the keyboard focus
  if (element("previous").disabled) element("next").focus();
  else if (element("next").disabled) element("previous").focus();
}
element("previous").addEventListener("click", () => turn(-1));
element("next").addEventListener("click", () => turn(1));
for (const button of document.querySelectorAll("[data-sort]")) {
  button.addEventListener("click", () => {
    descending = sortBy === button.dataset.sort && !descending;
    sortBy = button.dataset.sort;
    for (const other of document.querySelectorAll("[data-sort]")) {
      if (other === button) other.closest("th").setAttribute("aria-sort", descending ? "descending" : "ascending");
      else other.closest("th").removeAttribute("aria-sort");
    }
    select();
  });
}
draw();
