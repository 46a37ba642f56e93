/** Calls of the voting routes. Whatever is not an explicit yes is an error with a sentence. */
import { here } from "../dom.js";

const PATIENCE = 40_000; // ms; the first pair of a new study is waited for
const RETRIES = [500, 1500, 4000]; // ms between tries of a vote that got no answer
const PENDING = "vote-pending";

export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status; // 0 when the server did not answer
  }
}

export async function call(path, body) {
  const init = body ? { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) } : {};
  let response;
  try {
    response = await fetch(here(`/api/v1/${path}`), { ...init, credentials: "same-origin", signal: AbortSignal.timeout(PATIENCE) });
  } catch {
    throw new ApiError(0, "the server does not answer");
  }
  const answer = await response.json().catch(() => null);
  if (!response.ok) throw new ApiError(response.status, answer?.error ?? `the server answered ${response.status}`);
  if (!answer) throw new ApiError(response.status, "the server's answer cannot be read");
  return answer;
}

/** Send a vote until it is saved or refused; it is kept in this browser until then. The key makes tries harmless. */
export async function sendVote(body, onTrouble) {
  keep(body);
  for (let attempt = 0; ; attempt += 1) {
    try {
      const answer = await call("votes", body);
      if (answer.saved !== true) throw new ApiError(0, "the server did not say that the vote is saved");
      forget();
      return answer;
    } catch (error) {
      if (error.status >= 400 && error.status < 500) {
        forget();
        throw error;
      }
      if (attempt >= RETRIES.length) throw error;
      onTrouble(error);
      await new Promise((resolve) => setTimeout(resolve, RETRIES[attempt]));
    }
  }
}

/** A vote that was on its way when the page was closed. */
export function pendingVote() {
  try {
    return JSON.parse(localStorage.getItem(PENDING));
  } catch {
    return null;
  }
}

export function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function keep(body) {
  try {
    localStorage.setItem(PENDING, JSON.stringify(body));
  } catch {} // a browser without storage still votes
}

function forget() {
  try {
    localStorage.removeItem(PENDING);
  } catch {}
}
