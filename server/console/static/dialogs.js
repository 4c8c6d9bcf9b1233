// The two dialogs: the key that this page asks with, and the reload, which wants an administrator's.

import { at } from "./dom.js";
import { ask, key } from "./server.js";

/** Have the buttons open them. changed: called when there is another key. */
export function startDialogs(changed) {
  for (const button of document.querySelectorAll("[data-close]")) {
    button.addEventListener("click", () => button.closest("dialog").close());
  }
  at("open-key").addEventListener("click", askForKey);
  at("open-reload").addEventListener("click", () => {
    at("reload-outcome").textContent = "";
    at("reload-dialog").showModal();
  });
  at("reload-dialog").addEventListener("close", () => { at("admin-key").value = ""; });
  at("key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    key.set(at("key").value.trim());
    at("key-dialog").close();
    changed();
  });
  at("reload-form").addEventListener("submit", reload);
}

/** For a key, with the one in use in the field. */
export function askForKey() {
  at("key").value = key.get();
  if (!at("key-dialog").open) at("key-dialog").showModal();
}

async function reload(event) {
  event.preventDefault();
  const [button, outcome] = [event.submitter, at("reload-outcome")];
  const directory = at("directory").value.trim();
  button.disabled = true;
  outcome.removeAttribute("data-state");
  outcome.textContent = "Reading, verifying, warming up …";
  try {
    const taken = await ask("admin/reload", directory ? { checkpoint: directory } : {}, at("admin-key").value.trim());
    outcome.dataset.state = "good";
    outcome.textContent = `Weights ${taken.weights_sha256.slice(0, 12)} answer now.`;
  } catch (error) {
    outcome.dataset.state = "bad";
    outcome.textContent = error.message;
  } finally {
    button.disabled = false;
  }
}
