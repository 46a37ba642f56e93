/** Signing in: the session's cookie comes with the answer. */
import { here } from "../dom.js";
import { call } from "./vote_api.js";

const form = document.getElementById("login");
const alert = form.querySelector("[role=alert]");

/** Where the visitor was going, as the front door wrote it; never to another site, nor out of the app's prefix. */
function wanted() {
  const next = new URLSearchParams(window.location.search).get("next") ?? "";
  return /^\/(?![/\\])/.test(next) && next.startsWith(here("/")) ? next : here("/");
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    const { role } = await call("session", { name: document.getElementById("name").value, password: document.getElementById("password").value });
    window.location.assign(role === "annotator" ? here("/vote") : wanted());
  } catch (error) {
    alert.textContent = `${error.message}.`;
    alert.hidden = false;
  }
});
