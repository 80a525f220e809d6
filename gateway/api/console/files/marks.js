// An answer's text, marked by who made each token first.

import { call } from "./api.js";
import { el } from "./dom.js";

const MOST_RUNS = 64;

/** Neighbours with one writer: pairs of a writer and the number of tokens up to its end. */
function runs(by) {
  const found = [];
  for (const [place, writer] of by.entries()) {
    if (!found.length || found.at(-1)[0] !== writer) found.push([writer, place + 1]);
    else found.at(-1)[1] = place + 1;
  }
  return found;
}

async function textOf(model, tokens) {
  const answer = await call("detokenize", {
    kind: "caller",
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model, tokens }),
  });
  return (await answer.json()).prompt;
}

/** The answer's text in parts, and how many tokens each writer made; `own` names the model that
 * decides. null where nobody drafted, or the tokens' texts can't be had. */
export async function marked({ text, ids, by, model, own }) {
  const named = by.map((writer) => (writer === "verifier" ? own : writer));
  if (!ids.length || ids.length !== named.length || named.every((writer) => writer === own)) return null;
  const found = runs(named);
  if (found.length > MOST_RUNS) return null;
  try {
    const ends = await Promise.all(found.map(([, end]) => textOf(model, ids.slice(0, end))));
    // What ends an answer is a token that is not shown.
    if (!ends.at(-1).startsWith(text)) return null;
    const parts = ends.map((end, place) => {
      const [writer] = found[place];
      const piece = text.slice(place ? ends[place - 1].length : 0, end.length);
      return el("span", { class: `of-${writer}`, title: writer }, piece);
    });
    const shares = new Map();
    for (const writer of named) shares.set(writer, (shares.get(writer) ?? 0) + 1);
    return { parts, shares: [...shares] };
  } catch {
    return null;
  }
}
