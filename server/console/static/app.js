// What the page does: listens to the server, and shows what comes.

import { at } from "./dom.js";
import { askForKey, startDialogs } from "./dialogs.js";
import { showExperiments } from "./experiments.js";
import { showMeasured, showPresent } from "./frontier.js";
import { showLadder } from "./ladder.js";
import { showModels, startPlayground } from "./playground.js";
import { events, Refusal } from "./server.js";
import { onScheme } from "./theme.js";
import { showTiles } from "./tiles.js";
import { showTraffic } from "./traffic.js";

const AGAIN = 2_000;
const EXPERIMENTS = 15_000;
let about = null;
let message = null;
let listening = new AbortController();
let keyGiven = () => {};

function showConnection(state, words) {
  const pill = at("connection");
  if (pill.textContent === words) return;
  pill.dataset.state = state;
  pill.textContent = words;
}

const HANDLERS = {
  about: (data) => {
    about = data;
    at("checkpoint").textContent = `${data.checkpoint}, weights ${data.weights}, ${data.device}, ${data.precision}, version ${data.version}`;
    showMeasured(about);
    showModels().catch(() => {});  // the playground says what is wrong when it is used
    showExperiments(about);
  },
  numbers: (data) => {
    message = data;
    showConnection(data.ready ? "good" : "warn", data.ready ? "live" : "not answering");
    showTiles(about, message);
    showLadder(about, message);
    showTraffic(about, message);
    showPresent(about, message);
  },
};

async function listen() {
  for (;;) {
    listening = new AbortController();
    try {
      for await (const [name, data] of events(listening.signal)) HANDLERS[name]?.(data);
      showConnection("bad", "server stopped; trying again");
    } catch (error) {
      if (error instanceof Refusal && error.status === 401) {
        showConnection("warn", "wants an API key");
        askForKey();
        await new Promise((resolve) => { keyGiven = resolve; });
        continue;
      }
      if (listening.signal.aborted) continue;
      showConnection("bad", error instanceof Refusal ? error.message : "no connection; trying again");
    }
    await new Promise((resolve) => setTimeout(resolve, AGAIN));
  }
}

startPlayground(() => about);
startDialogs(() => {
  listening.abort();
  keyGiven();
});
onScheme(() => {
  if (!message) return;
  showLadder(about, message);
  showTraffic(about, { ...message, now: { ...message.now, seconds: 0 } });
  showPresent(about, message, true);
  showExperiments(about);
});
setInterval(() => {
  if (about && !document.hidden) showExperiments(about);
}, EXPERIMENTS);
listen();
