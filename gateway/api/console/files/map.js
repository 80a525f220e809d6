// The map: tiers, their pools and endpoints, the devices, and what is degraded.

import { $, count, duration, el, tier } from "./dom.js";

const MEANING = {
  device: "small models, near their owners; they draft and answer",
  edge: "near the callers",
  cloud: "the largest models",
};

export function showMap(map) {
  const notices = Object.entries(map.conditions).map(([name, text]) =>
    el("p", { class: "notice warn" }, el("strong", {}, `${name}: `), text),
  );
  $("conditions").replaceChildren(...notices);
  const names = ["device", ...new Set(map.pools.map((pool) => pool.tier))];
  $("tiers").replaceChildren(
    ...names.sort((a, b) => order(a) - order(b)).map((name) => tierCard(name, map)),
  );
}

const order = (name) => ["device", "edge", "cloud"].indexOf(name);

function tierCard(name, map) {
  const parts =
    name === "device" ? map.devices.map(device) : map.pools.filter((pool) => pool.tier === name).map(pool);
  const empty = el("p", { class: "part empty" }, "no device is registered; `make device` starts one");
  return el(
    "article",
    { class: `tier ${name}` },
    el("h3", {}, tier(name)),
    el("p", { class: "empty" }, MEANING[name] ?? ""),
    parts.length ? parts : empty,
  );
}

function pool(pool) {
  const drafts = { mailbox: "takes drafts", rounds: "takes drafts by requests", none: "" }[pool.drafts];
  const held = pool.held ? `${count(pool.held, "request")} wait for it` : "";
  return [
    el(
      "div",
      { class: "part" },
      el("h4", {}, `pool ${pool.name}`),
      el("p", {}, [drafts, held].filter(Boolean).join(", ")),
    ),
    ...(pool.endpoints.length
      ? pool.endpoints.map(endpoint)
      : [el("p", { class: "part empty" }, "it has no endpoint now")]),
  ];
}

const health = (good, text) =>
  el("span", { class: `state ${good ? "good" : "bad"}` }, `${good ? "✓" : "✕"} ${text}`);

function endpoint(one) {
  const good = one.condition === "ok";
  return el(
    "div",
    { class: "part" },
    el("h4", {}, one.models.join(", ") || one.id),
    el("p", {}, health(good, good ? "answers" : one.condition), ` at ${one.id}`),
    good
      ? el(
          "p",
          {},
          `${one.running} running, ${one.waiting} waiting, ${duration(one.s_per_token)} a token `,
          el("label", {}, "KV ", el("meter", { min: 0, max: 1, high: 0.9, value: one.kv_use }),
            ` ${Math.round(100 * one.kv_use)} %`),
        )
      : null,
  );
}

function device(card) {
  const about = card.registration;
  const models = about ? about.models.map((model) => model.name).join(", ") : "";
  const link = about && about.link.round_trip_s ? `${duration(about.link.round_trip_s)} away` : "";
  const battery =
    about && about.condition.battery !== null
      ? `battery ${Math.round(100 * about.condition.battery)} %`
      : "";
  return el(
    "div",
    { class: "part" },
    el("h4", {}, card.id, models ? ` runs ${models}` : ""),
    el(
      "p",
      {},
      health(card.registered, card.registered ? "connected" : "away"),
      [link, battery, about && about.condition.hot ? "hot" : ""].filter(Boolean).map((text) => `, ${text}`),
    ),
    about
      ? el("p", {}, `${about.work.in_flight} of ${about.work.max_work} at work, ${about.work.finished} finished`)
      : null,
  );
}
