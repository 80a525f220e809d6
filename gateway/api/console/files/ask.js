// Asking a question, and how to ask the same from a program.

import { Refused, call, events, keepToken, token } from "./api.js";
import { $, count, duration, el, terms, tier } from "./dom.js";
import { marked } from "./marks.js";

const CHAT = "v1/chat/completions";
const WAYS = {
  "tierflow-auto": ["the tier that is likely to answer first", [
    "What is 3 * 2 + 4?",
    "Sort from largest to smallest: 1, 9, 4",
    "Today is Tuesday. Which day comes 6 days later?",
  ]],
  "tierflow-edge": ["the edge first", [
    "Convert 7 days to hours.",
    "Reverse this list: clock, snow, sun, wind, door",
    "Name the smallest number: 78, 27, 18.",
  ]],
  "tierflow-cloud": ["the cloud first", [
    "Leo owns 11 tickets. Then Leo loses 3. Then Leo gets 6 from Ivy. How many tickets are left?",
    "Omar lives in Paris. Hugo has a rabbit. The friend of Ruth is Hugo. Which pet does the friend of Ruth have?",
    "Define a function score in Python that returns the last item of y.",
  ]],
  "tierflow-edge-cloud": ["the edge drafts, the cloud decides", [
    "Add 417 and 325 digit by digit.",
    "Add 539 to 286 step by step.",
    "Say after me: river bridge door wind",
  ]],
  "tierflow-cascade": ["the edge begins, and the cloud goes on where the edge is not sure", [
    "10 - 3 = ?",
    "Run this code:\ns = 1\ny = s + 3\nz = y - 1\nprint(z)",
    "f: l>c, n>j, h>e\ng: e>d, j>o, c>p\nWhat are f(l), g(c), f(n)?",
  ]],
  "tierflow-collective": ["devices answer together, and a server makes one answer of theirs", [
    "What does this print?\nitems = [39, 17, 30, 29, 31]\nprint(max(items))",
    "Felix is taller than Ruth. Leo is taller than Felix. Who is the tallest?",
    "Good evening! My name is Ruth.",
  ]],
};
const OWN = ["a model by its own name", ["What is 3 * 2 + 4?", "Add 417 and 325 digit by digit.", "Say after me: river bridge door wind"]];

let running = null;

export function setUpAsk() {
  const input = (id, attributes) => el("input", { id, ...attributes });
  const field = (text, control) => el("label", { class: "field" }, el("span", {}, text), control);
  const form = el(
    "form",
    { class: "panel", id: "ask-form" },
    field("Model or way", el("select", { id: "model", onchange: showWay })),
    el("p", { id: "way", class: "empty" }),
    el("p", { id: "examples", class: "row" }),
    field("Question", el("textarea", { id: "question", rows: "5", required: true })),
    el(
      "div",
      { class: "row" },
      field("Most tokens", input("max-tokens", { type: "number", min: 1, max: 4096, value: 128 })),
      field("Temperature", input("temperature", { type: "number", min: 0, max: 2, step: 0.1, value: 0 })),
      el("label", {}, input("stream", { type: "checkbox", checked: true }), " stream"),
    ),
    el("label", { class: "field", id: "key-field", hidden: !token("caller") },
      el("span", {}, "API key"),
      input("key", { type: "password", autocomplete: "off", value: token("caller") || null })),
    el("button", { class: "main", type: "submit", id: "ask-button" }, "Ask"),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (running) running.abort();
    else ask();
  });
  form.addEventListener("input", showCommands);
  const answer = el(
    "div",
    { class: "panel" },
    el("h3", {}, "Answer"),
    el("p", { id: "answer", class: "answer empty", "aria-live": "polite" }, "Ask something, or take an example."),
    el("div", { id: "about-answer" }),
    el("h3", {}, "The same from a shell"),
    el("pre", { id: "curl", tabindex: "0" }),
    copier("curl"),
    el("h3", {}, "and from Python"),
    el("pre", { id: "python", tabindex: "0" }),
    copier("python"),
  );
  $("asking").replaceChildren(el("div", { class: "columns" }, form, answer));
  readModels();
}

function copier(id) {
  const button = el("button", { type: "button" }, "Copy");
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText($(id).textContent);
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = "Copy"), 2000);
  });
  return el("p", {}, button);
}

/** Whether callers' routes are at this address. */
export function setCallers(here) {
  $("ask-button").disabled = !here;
  if (!here) say("This is the operators' address. Questions go to the callers' one.", "notice");
}

export async function readModels() {
  try {
    const list = await (await call("v1/models", { kind: "caller" })).json();
    const chosen = $("model").value;
    const names = list.data.map((model) => model.id);
    $("model").replaceChildren(...names.sort(byWay).map((name) => el("option", {}, name)));
    $("model").value = names.includes(chosen) ? chosen : names[0];
    showWay();
  } catch (error) {
    needKey(error);
  }
}

const place = (name) => (name in WAYS ? Object.keys(WAYS).indexOf(name) : 99);
const byWay = (a, b) => place(a) - place(b) || a.localeCompare(b);

function needKey(error) {
  if (error instanceof Refused && error.status === 401) {
    $("key-field").hidden = false;
    say("This gateway asks for a key: give one in the form.", "notice warn");
  } else say(error instanceof Refused ? error.message : "The gateway does not answer.", "notice bad");
}

function showWay() {
  const [meaning, examples] = WAYS[$("model").value] ?? OWN;
  $("way").textContent = meaning;
  $("examples").replaceChildren(
    ...examples.map((text) =>
      el("button", { type: "button", onclick: () => fill(text) }, text.length > 42 ? `${text.slice(0, 40)}…` : text),
    ),
  );
  if (!$("question").value) fill(examples[0]);
  showCommands();
}

function fill(text) {
  $("question").value = text;
  showCommands();
}

function body() {
  const asked = {
    model: $("model").value,
    messages: [{ role: "user", content: $("question").value }],
    max_tokens: Number($("max-tokens").value),
    temperature: Number($("temperature").value),
  };
  return $("stream").checked ? { ...asked, stream: true, stream_options: { include_usage: true } } : asked;
}

function showCommands() {
  const base = new URL(".", location.href).href;
  const asked = body();
  const quoted = JSON.stringify(asked, null, 2).replaceAll("'", "'\\''");
  const key = $("key").value ? " \\\n  -H \"authorization: Bearer $TIERFLOW_KEY\"" : "";
  const stream = asked.stream ? " -N" : "";
  $("curl").textContent = `curl${stream} ${base}${CHAT} -H 'content-type: application/json'${key} -d '${quoted}'`;
  const named = Object.entries(asked).map(([name, value]) => `    ${name}=${python(value)},`).join("\n");
  const shown = asked.stream
    ? "for chunk in answer:\n    for choice in chunk.choices:\n        print(choice.delta.content or \"\", end=\"\", flush=True)"
    : "print(answer.choices[0].message.content)";
  const secret = $("key").value ? 'os.environ["TIERFLOW_KEY"]' : '"none"';
  $("python").textContent =
    `${$("key").value ? "import os\n\n" : ""}from openai import OpenAI\n\nclient = OpenAI(base_url="${base}v1", api_key=${secret})\n` +
    `answer = client.chat.completions.create(\n${named}\n)\n${shown}`;
}

function python(value) {
  const words = { true: "True", false: "False", null: "None" };
  return JSON.stringify(value).replace(/"(?:[^"\\]|\\.)*"|\b(?:true|false|null)\b/g, (found) => words[found] ?? found)
    .replaceAll('","', '", "').replaceAll('":', '": ').replaceAll(',"', ', "');
}

function say(text, kind) {
  $("answer").className = `answer ${kind}`;
  $("answer").textContent = text;
}

async function ask() {
  keepToken("caller", $("key").value);
  running = new AbortController();
  $("ask-button").textContent = "Stop";
  say("", "");
  $("about-answer").replaceChildren();
  const began = performance.now();
  const seen = { began, first: null, last: null, pieces: 0, usage: null, answer: null, ids: [], by: [], model: "" };
  try {
    const answer = await call(CHAT, {
      kind: "caller",
      method: "POST",
      headers: { "content-type": "application/json", "x-tierflow-marks": "1" },
      body: JSON.stringify({ ...body(), ...(withIds(body().model) ? { return_token_ids: true } : {}) }),
      signal: running.signal,
    });
    seen.answer = answer;
    await (answer.headers.get("content-type")?.startsWith("text/event-stream") ? readStream(answer, seen) : readWhole(answer, seen));
    await showMarks(seen);
  } catch (error) {
    if (error.name === "AbortError") $("answer").append(" (stopped)");
    else needKey(error);
  } finally {
    running = null;
    $("ask-button").textContent = "Ask";
    if (seen.answer) about(seen);
  }
}

async function readStream(answer, seen) {
  for await (const event of events(answer)) {
    if (event.data === "[DONE]") break;
    const chunk = JSON.parse(event.data);
    if (chunk.error) throw new Refused(502, chunk.error);
    if (chunk.usage) seen.usage = chunk.usage;
    seen.model = chunk.model ?? seen.model;
    const ids = (chunk.choices ?? []).flatMap((choice) => choice.token_ids ?? []);
    seen.ids.push(...ids);
    seen.by.push(...(chunk.tierflow?.by ?? ids.map(() => "verifier")));
    const text = (chunk.choices ?? []).map((choice) => choice.delta?.content ?? "").join("");
    if (!text) continue;
    seen.last = performance.now();
    seen.first ??= seen.last;
    seen.pieces += 1;
    $("answer").append(text);
  }
}

async function readWhole(answer, seen) {
  const whole = await answer.json();
  seen.last = performance.now();
  seen.usage = whole.usage;
  $("answer").append(whole.choices.map((choice) => choice.message.content ?? "").join("\n"));
}

/** Whether the answer's tokens are those of one model: a collective has several at work. */
const withIds = (model) => model !== "tierflow-collective";

/** Mark the answer's text by who made it first, where anybody drafted. */
async function showMarks(seen) {
  const own = seen.answer.headers.get("x-tierflow-tier") ?? "verifier";
  const text = $("answer").textContent;
  const made = await marked({ text, ids: seen.ids, by: seen.by, model: seen.model, own });
  if (!made) return;
  $("answer").replaceChildren(...made.parts);
  seen.shares = made.shares;
}

function about(seen) {
  const header = (name) => seen.answer.headers.get(`x-tierflow-${name}`);
  const tokens = seen.usage?.completion_tokens ?? seen.pieces;
  const rest = seen.first && tokens > 1 ? (seen.last - seen.first) / 1000 / (tokens - 1) : null;
  $("about-answer").replaceChildren(
    terms([
      ["Tier", header("tier") && tier(header("tier"))],
      ["Endpoint", header("endpoint")],
      ["Why there", header("reason")],
      ["Answer", count(tokens, "token")],
      ...(seen.shares ?? []).map(([name, number]) => [`Written by ${name}`, el("span", {}, tier(name), ` ${count(number, "token")}`)]),
      ["First token after", seen.first && duration((seen.first - seen.began) / 1000)],
      ["Then a token in", duration(rest)],
      ["Whole", seen.last && duration((seen.last - seen.began) / 1000)],
    ]),
  );
}
