// Elements made of text alone: nothing that a caller or an engine wrote becomes markup.

export const $ = (id) => document.getElementById(id);

/** An element: `el("p", {class: "x", onclick: f}, "text", child)`. What is null is left out. */
export function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return made;
}

/** A list of terms: pairs of a name and a text or an element; those without are left out. */
export function terms(pairs) {
  const shown = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return el("dl", {}, shown.map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
}

const MARKS = { device: "●", edge: "▲", cloud: "■", prediction: "◆", none: "–" };

/** A tier by mark, word and colour: none of these stands alone. */
export const tier = (name) => el("span", { class: `tag of-${name}` }, `${MARKS[name] ?? "○"} ${name}`);

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < 0.0095) return `${(seconds * 1000).toFixed(1)} ms`;
  return seconds < 1 ? `${Math.round(seconds * 1000)} ms` : `${seconds.toFixed(2)} s`;
}

export const time = (unix) => new Date(unix * 1000).toLocaleTimeString();

export const count = (number, one, many) => `${number} ${number === 1 ? one : (many ?? `${one}s`)}`;
