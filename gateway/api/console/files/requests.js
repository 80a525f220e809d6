// Requests as they end, and one of them opened.

import { $, duration, el, terms, tier, time } from "./dom.js";

const MOST = 200;
const kept = [];
let paused = false;

const HEADINGS = [
  ["Time", ""], ["Model", ""], ["Tier", ""], ["Why there", ""], ["Outcome", ""], ["Tokens", "number"],
  ["First token", "number"], ["A token", "number"], ["Whole", "number"],
];

export function setUpRequests() {
  $("filter").addEventListener("change", draw);
  $("filter").addEventListener("submit", (event) => event.preventDefault());
  $("pause").addEventListener("click", () => {
    paused = !paused;
    $("pause").setAttribute("aria-pressed", String(paused));
    $("pause").textContent = paused ? "Go on" : "Pause";
    draw();
  });
  draw();
}

export function addRequest(summary) {
  kept.unshift(summary);
  kept.length = Math.min(kept.length, MOST);
  if (!paused) draw();
}

function wanted(one) {
  const [place, outcome] = [$("filter-tier").value, $("filter-outcome").value];
  if (place && one.tier !== place) return false;
  if (outcome && (one.outcome === "ok") !== (outcome === "ok")) return false;
  return $("filter-own").checked || !one.parent;
}

function draw() {
  const rows = kept.filter(wanted);
  if (!rows.length) {
    const why = kept.length ? "None of the last requests is of that kind." : "No request has ended yet. Ask something.";
    $("request-list").replaceChildren(el("p", { class: "empty notice" }, why));
    return;
  }
  const head = HEADINGS.map(([text, kind]) => el("th", { scope: "col", class: kind || null }, text));
  $("request-list").replaceChildren(
    el("table", {}, el("thead", {}, el("tr", {}, head)), el("tbody", {}, rows.map(row))),
  );
}

const outcome = (one) =>
  el("span", { class: `state ${one.outcome === "ok" ? "good" : "bad"}` },
    `${one.outcome === "ok" ? "✓" : "✕"} ${one.outcome}`);

function row(one) {
  const number = (text) => el("td", { class: "number" }, text);
  return el(
    "tr",
    {},
    el("td", {}, el("button", { class: "link", type: "button", onclick: () => open(one) }, time(one.at))),
    el("td", {}, one.model || one.asked),
    el("td", {}, tier(one.tier), one.device ? ` with ${one.device}` : ""),
    el("td", {}, one.reason),
    el("td", {}, outcome(one)),
    number(String(one.completion_tokens)),
    number(duration(one.ttft_s)),
    number(duration(one.tpot_s)),
    number(duration(one.duration_s)),
  );
}

function open(one) {
  const drafted = one.drafted ? `${one.accepted} of ${one.drafted} tokens that ${one.device} drafted` : "";
  const predicted = one.prediction
    ? `${one.prediction}: ${one.prediction_accepted} tokens came as predicted, ${one.prediction_rejected} did not`
    : "";
  const parts = terms([
    ["Request", one.id],
    ["For", one.parent],
    ["Route", one.path],
    ["Asked for", one.asked],
    ["Answered by", one.model && `${one.model} at ${one.endpoint}`],
    ["Tier", tier(one.tier)],
    ["Why there", one.reason],
    ["Outcome", el("span", {}, outcome(one), ` (HTTP ${one.status})`)],
    ["Attempts", String(one.attempts)],
    ["Went on elsewhere", one.resumptions ? `${one.resumptions} times` : ""],
    ["Prompt", one.prompt_tokens === null ? "" : `${one.prompt_tokens} tokens`],
    ["Answer", `${one.completion_tokens} tokens`],
    ["Drafts accepted", drafted],
    ["Prediction", predicted],
    ["Waited for a place", duration(one.queue_s)],
    ["First token after", duration(one.ttft_s)],
    ["Then a token in", duration(one.tpot_s)],
    ["Whole", duration(one.duration_s)],
    ["Key", one.key],
  ]);
  const close = el("button", { type: "button", onclick: () => $("detail").close() }, "Close");
  $("detail").replaceChildren(el("h2", { id: "detail-heading" }, "A request"), parts, el("div", { class: "row" }, close));
  $("detail").showModal();
}
