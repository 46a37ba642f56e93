/** Signing in: the session's cookie comes with the answer. */
import { call } from "./vote_api.js";

const form = document.getElementById("login");
const alert = form.querySelector("[role=alert]");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    const { role } = await call("session", { name: document.getElementById("name").value, password: document.getElementById("password").value });
    const wanted = new URLSearchParams(window.location.search).get("next") ?? "/";
    const inside = /^\/(?![/\\])/.test(wanted) ? wanted : "/"; // never to another site
    window.location.assign(role === "annotator" ? "/vote" : inside);
  } catch (error) {
    alert.textContent = `${error.message}.`;
    alert.hidden = false;
  }
});
