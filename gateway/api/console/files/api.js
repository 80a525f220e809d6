// The gateway's API, by addresses relative to the page. Tokens are sent as headers, and kept for
// this tab alone.

const KINDS = { admin: "tierflow-admin", caller: "tierflow-key" };

export class Refused extends Error {
  constructor(status, error) {
    super(error.message ?? `HTTP ${status}`);
    this.status = status;
    this.code = error.code ?? "";
  }
}

export const token = (kind) => sessionStorage.getItem(KINDS[kind]) ?? "";

export function keepToken(kind, value) {
  if (value) sessionStorage.setItem(KINDS[kind], value);
  else sessionStorage.removeItem(KINDS[kind]);
}

/** Throws Refused for an error's status, TypeError where nothing answers. */
export async function call(path, { kind, headers = {}, ...more } = {}) {
  const shown = kind && token(kind) ? { authorization: `Bearer ${token(kind)}` } : {};
  const answer = await fetch(path, { ...more, headers: { ...headers, ...shown }, cache: "no-store" });
  if (answer.ok) return answer;
  const body = await answer.json().catch(() => ({}));
  throw new Refused(answer.status, body.error ?? {});
}

/** The events of a stream: objects with `event`, `data` and `id`. */
export async function* events(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const blocks = (rest + value).split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) {
        const fields = { event: "message", data: "", id: "" };
        for (const line of block.split("\n")) {
          const [, name, text] = line.match(/^(\w+): ?(.*)$/) ?? [];
          if (name === "data") fields.data += text;
          else if (name in fields) fields[name] = text;
        }
        if (fields.data) yield fields;
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 10_000;
const SILENCE_MS = 10_000;

/** Follow the console's events for good. `told` gets each, `state` what the connection is like:
 * "live", "lost" or "refused" with the error. Comes back after a loss to where it was. Returns a
 * function that tries again at once. */
export function follow(path, { told, state }) {
  let last = "";
  let retry = () => {};
  const pause = (ms) =>
    new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      retry = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  (async () => {
    let wait = FIRST_PAUSE_MS;
    for (;;) {
      const stop = new AbortController();
      // The gateway says something every second: a link that is silent has ended unnoticed.
      let watchdog = setTimeout(() => stop.abort(), SILENCE_MS);
      try {
        const headers = last ? { "last-event-id": last } : {};
        const answer = await call(path, { kind: "admin", headers, signal: stop.signal });
        state("live");
        wait = FIRST_PAUSE_MS;
        const heard = answer.body.pipeThrough(
          new TransformStream({
            transform(chunk, next) {
              clearTimeout(watchdog);
              watchdog = setTimeout(() => stop.abort(), SILENCE_MS);
              next.enqueue(chunk);
            },
          }),
        );
        for await (const event of events({ body: heard })) {
          if (event.id) last = event.id;
          told(event.event, JSON.parse(event.data));
        }
        state("lost");
      } catch (error) {
        const refused = error instanceof Refused && [401, 403].includes(error.status);
        state(refused ? "refused" : "lost", error);
        if (refused) wait = 3_600_000;
      } finally {
        clearTimeout(watchdog);
      }
      await pause(wait * (0.75 + Math.random() / 2));
      wait = Math.min(wait * 2, LONGEST_PAUSE_MS);
    }
  })();
  return () => retry();
}
