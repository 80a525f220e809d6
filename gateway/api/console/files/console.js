// The console: one page of three views, told by one stream of events.

import { follow, keepToken, token } from "./api.js";
import { readModels, setCallers, setUpAsk } from "./ask.js";
import { $, el } from "./dom.js";
import { showMap } from "./map.js";
import { addRequest, setUpRequests } from "./requests.js";

const VIEWS = ["map", "requests", "ask"];
const WORDS = { live: "live", lost: "lost the gateway; trying again", refused: "operators only" };

function show() {
  const wanted = location.hash.slice(1);
  const view = VIEWS.includes(wanted) ? wanted : "map";
  for (const name of VIEWS) {
    $(`view-${name}`).hidden = name !== view;
    const link = document.querySelector(`nav a[href="#${name}"]`);
    if (name === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `Tierflow: ${view}`;
}

function told(kind, data) {
  if (kind === "map") {
    showMap(data);
    setCallers(data.callers);
  } else if (kind === "request") addRequest(data);
}

function state(name, error) {
  const sign = $("connection");
  sign.className = `connection ${name === "live" ? "live" : "lost"}`;
  if (sign.textContent !== WORDS[name]) sign.textContent = WORDS[name];
  // A browser opens these without the token, and would be refused.
  if (name === "refused" || token("admin")) $("operators").hidden = true;
  if (name === "refused") signIn(error);
  if (name === "live") readModels();
  for (const id of ["tiers", "request-list"]) $(id).toggleAttribute("aria-busy", name !== "live");
}

function signIn(error) {
  const field = el("input", { type: "password", id: "admin-token", autocomplete: "off", required: true });
  const form = el(
    "form",
    { method: "dialog" },
    el("h2", { id: "sign-in-heading" }, "For operators"),
    el("p", { class: token("admin") ? "notice bad" : "notice" }, error.message),
    el("label", { class: "field" }, el("span", {}, "Admin token, kept for this tab alone"), field),
    el(
      "div",
      { class: "row" },
      el("button", { type: "button", onclick: () => $("sign-in").close() }, "Only ask"),
      el("button", { class: "main", type: "submit" }, "Show"),
    ),
  );
  form.addEventListener("submit", () => {
    keepToken("admin", field.value);
    again();
  });
  $("sign-in").replaceChildren(form);
  if (!$("sign-in").open) $("sign-in").showModal();
}

addEventListener("hashchange", show);
setUpRequests();
setUpAsk();
show();
$("tiers").replaceChildren(el("p", { class: "empty" }, "The map comes with the connection."));
const again = follow("v1/admin/console/events", { told, state });
