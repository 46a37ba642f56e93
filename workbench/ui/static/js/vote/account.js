/** Signing out: the session is over on the server, and the page to sign in comes next. */
import { here } from "../dom.js";
import { call } from "./vote_api.js";

export async function signOut() {
  await call("logout", {});
  window.location.assign(here("/login"));
}

/** The button in the frame of a page, seen from now on; when signing out fails, it says so in its own place. */
export function mountSignOut(button) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      await signOut();
    } catch (error) {
      button.disabled = false;
      button.textContent = "Sign out (try again)";
      button.title = `You are still signed in: ${error.message}.`;
    }
  });
}
