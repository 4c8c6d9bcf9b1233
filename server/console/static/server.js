// The server: one way to ask it, and its stream of events.

const STORED = "nestling-key";
const SILENCE = 10_000;

/** What the server refused, with its own words. */
export class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export const key = {
  get: () => sessionStorage.getItem(STORED) ?? "",
  set: (value) => sessionStorage.setItem(STORED, value),
};

/** An answer in JSON. given: a key instead of the one in use. Throws Refusal, or TypeError if nobody answers. */
export async function ask(path, body, given = key.get()) {
  const response = await fetch(path, {
    method: body === undefined ? "GET" : "POST",
    headers: authorised(given),
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  if (!response.ok) throw await refusal(response);
  return response.json();
}

/** Events of `console/events`, as [name, data], until the stream ends. Not by EventSource: that sends no key. */
export async function* events(signal) {
  const silence = new AbortController();
  let timer = setTimeout(() => silence.abort(), SILENCE);
  try {
    const response = await fetch("console/events", {
      headers: authorised(key.get()),
      signal: AbortSignal.any([signal, silence.signal]),
    });
    if (!response.ok) throw await refusal(response);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let waiting = ""; ;) {
      const { value, done } = await reader.read();
      if (done) return;
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), SILENCE);
      const whole = (waiting + value).split("\n\n");
      waiting = whole.pop();
      for (const event of whole) {
        const [, name, data] = /^event: (.*)\ndata: (.*)$/.exec(event);
        yield [name, JSON.parse(data)];
      }
    }
  } finally {
    clearTimeout(timer);
  }
}

const authorised = (given) => (given ? { Authorization: `Bearer ${given}` } : {});

async function refusal(response) {
  const text = await response.text();
  let message = text;
  try {
    message = JSON.parse(text).error.message;
  } catch {
    // A proxy in between answers in its own words.
  }
  return new Refusal(response.status, message || `status ${response.status}`);
}
