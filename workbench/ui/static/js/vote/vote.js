/**
 * The Vote page: two clips in step, one answer a question, all by keyboard.
 * It knows nothing of what made the clips; the server tells that after a vote, if the study wants it told.
 */
import { signOut } from "./account.js";
import { el, safeLink } from "../dom.js";
import { ApiError, call, newKey, pendingVote, sendVote } from "./vote_api.js";
import { FlagDialog } from "./vote_flag.js";
import { KEYS, introParts, promptLine, questionBlock } from "./vote_parts.js";
import { PairPlayer } from "./vote_player.js";

// why an answer's key does nothing now; it is not kept, since it would vote on videos that nobody has seen
const WAITING = { sending: "Your vote is being saved.", loading: "The next videos are loading.", reveal: "Press Enter for the next pair." };

class VotePage {
  /** The assignment that undo takes back; it outlives a reload. */
  get last() {
    return sessionStorage.getItem("vote-last");
  }

  set last(assignment) {
    if (assignment) sessionStorage.setItem("vote-last", assignment);
    else sessionStorage.removeItem("vote-last");
  }

  constructor(root) {
    this.root = root;
    const query = new URLSearchParams(window.location.search);
    this.study = query.get("study") ?? undefined;
    this.invite = query.get("invite");
    this.live = el("p", { class: "vote-live", role: "status", "aria-live": "polite" });
    this.alert = el("p", { class: "wb-notice vote-alert", role: "alert", hidden: true });
    this.body = el("div", { class: "vote-body" });
    root.replaceChildren(this.alert, this.body, this.live);
    document.addEventListener("keydown", (event) => this.onKey(event));
  }

  async start() {
    await this.guarded(async () => {
      if (this.invite) await this.accept(this.invite);
      this.about = await call(`voting${this.study ? `?study=${encodeURIComponent(this.study)}` : ""}`);
      if (!this.about.name || !this.about.consented) return this.showIntro();
      const pending = pendingVote();
      if (pending) await sendVote(pending, () => {}).catch(() => {}); // refused: it was counted, or undone, before
      await this.next();
    });
  }

  async accept(invite) {
    const session = await call("session", { invite });
    this.study ??= session.study ?? undefined;
    const query = this.study ? `?study=${encodeURIComponent(this.study)}` : "";
    window.history.replaceState(null, "", `${window.location.pathname}${query}`); // the secret leaves the address
  }

  // before the first pair

  showIntro() {
    const { about } = this;
    this.state = "intro";
    const field = (id, label, type, more) => [el("label", { for: id, text: label }), el("input", { id, type, class: "wb-filter", required: true, ...more })];
    const name = about.name ? [] : field("name", "Your name", "text", { maxlength: 80, autocomplete: "username" });
    const password = about.name || !about.passwords ? [] : field("password", "Password", "password", { autocomplete: "current-password" });
    const form = el("form", { class: "vote-intro" }, ...introParts(about), ...name, ...password, el("button", { type: "submit", class: "vote-primary", text: "I agree, start" }));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.guarded(() => this.enter(form));
    });
    this.body.replaceChildren(form);
    (form.querySelector("input") ?? form.querySelector("button")).focus();
  }

  async enter(form) {
    const value = (id) => form.querySelector(`#${id}`)?.value;
    if (!this.about.name) await call("session", { name: value("name"), password: value("password") });
    this.about = await call("consent", { study: this.study });
    await this.next();
  }

  // a pair

  async next(more = false) {
    this.state = "loading";
    const pair = await this.waiting(() => call("next-pair", { study: this.study }));
    if (!pair.assignment || (pair.done >= pair.wanted && !more && !this.more)) return this.showDone(pair);
    this.more ||= more;
    this.pair = pair;
    Object.assign(this, { answers: {}, flags: [], key: newKey(), unlocked: false });
    this.showPair();
    try {
      await this.player.load(pair);
    } catch (error) {
      if (!error.gone || (this.lost = (this.lost ?? 0) + 1) > 5) throw error;
      await new Promise((resolve) => setTimeout(resolve, 500));
      await this.next(more);
      return this.warn("A clip of the last pair is gone from the server, so here is another pair.");
    }
    this.lost = 0;
    this.startedAt = performance.now();
    this.state = "voting";
    this.stage.dataset.state = "ready";
    if (this.about.min_watch === 0) this.unlock();
    if (window.matchMedia("(prefers-reduced-motion: reduce)").matches) this.say("Press space to play.");
    else this.player.replay();
  }

  /** Clips that are still being made are waited for. */
  async waiting(work) {
    for (;;) {
      try {
        return await work();
      } catch (error) {
        if (error.status !== 503) throw error;
        this.body.replaceChildren(el("p", { class: "vote-wait", text: `Please wait: ${error.message}.` }));
        await new Promise((resolve) => setTimeout(resolve, 2000));
      }
    }
  }

  showPair() {
    const { pair } = this;
    const share = Math.min(1, pair.done / Math.max(1, pair.wanted));
    const bar = el("div", { class: "wb-progress", role: "progressbar", "aria-label": "Your progress", "aria-valuemin": 0, "aria-valuemax": pair.wanted, "aria-valuenow": pair.done }, el("i", { style: `width:${100 * share}%` }));
    this.stage = el("div", { class: "vote-stage", "data-state": "loading" });
    const picture = el("div", { class: "wb-stage" });
    this.stage.append(el("p", { class: "vote-wait", text: "Loading both videos …" }), picture);
    this.player = new PairPlayer(picture, (seen) => this.onWatched(seen));
    this.watch = el("i");
    this.questions = pair.questions.map((question) => questionBlock(question, this.about.answers, (id, answer) => this.answer(id, answer)));
    this.flagCount = el("span", { text: "" });
    const tool = (text, key, onclick) => el("button", { type: "button", class: "wb-link", "aria-keyshortcuts": key, onclick }, text, " ", el("kbd", { text: key, "aria-hidden": "true" }));
    this.dialog = new FlagDialog(this.about.flag_kinds, (flag) => this.addFlag(flag));
    this.body.replaceChildren(
      el("div", { class: "vote-head" }, el("span", { class: "vote-count", text: `${pair.done} of ${pair.wanted} done` }), bar),
      promptLine(pair.prompt),
      this.stage, el("div", { class: "vote-watch", "aria-hidden": "true" }, this.watch), ...this.questions.map((question) => question.node),
      el("div", { class: "vote-row vote-tools" }, tool("Replay", "Space", () => this.player.replay()), tool("Undo last vote", "U", () => this.undo()), tool("Flag a moment", "F", () => this.openFlag()), this.flagCount, ...this.signOut()),
      this.dialog.node);
  }

  onWatched(seen) {
    const least = this.about.min_watch;
    this.watch.style.width = `${100 * Math.min(1, least ? seen / least : 1)}%`;
    if (seen >= least && !this.unlocked) this.unlock();
  }

  unlock() {
    this.unlocked = true;
    this.watch.style.width = "100%";
    for (const { buttons } of this.questions) buttons.forEach((button) => (button.disabled = false));
    this.mark();
  }

  /** The question that keys answer: the first one that is open. */
  get current() {
    return this.questions.find(({ id }) => !(id in this.answers));
  }

  mark() {
    for (const question of this.questions) {
      question.node.toggleAttribute("data-current", question === this.current && this.questions.length > 1);
      for (const button of question.buttons) button.setAttribute("aria-pressed", button.dataset.answer === this.answers[question.id]);
    }
  }

  async answer(question, answer) {
    if (this.state !== "voting" || !this.unlocked) return;
    this.answers[question] = answer;
    this.mark();
    if (!this.current) await this.guarded(() => this.send());
  }

  async send() {
    this.state = "sending";
    const { pair, player } = this;
    const seconds = Number(((performance.now() - this.startedAt) / 1000).toFixed(2));
    const body = { assignment: pair.assignment, key: this.key, answers: this.answers, watched: Number(player.watched.toFixed(3)), seconds, flags: this.flags };
    try {
      const answer = await sendVote(body, (error) => this.warn(`Not saved yet (${error.message}), trying again …`));
      this.warn("");
      this.last = pair.assignment;
      this.say(`Vote saved: ${this.about.answers[this.answers[pair.questions[0].id]]}.`);
      player.clock.pause();
      if (answer.reveal) this.showReveal(answer.reveal);
      else await this.next();
    } catch (error) {
      if (this.state !== "sending") throw error; // the vote is safe, what came after failed
      this.state = "voting";
      this.answers = {};
      this.mark();
      throw new ApiError(error.status, `Your vote was NOT saved: ${error.message}. Vote again to retry`);
    }
  }

  async undo() {
    if (!["voting", "done"].includes(this.state)) return this.say(WAITING[this.state] ?? "");
    await this.guarded(async () => {
      if (!this.last) return this.say("There is no vote to undo.");
      await call("votes/undo", { assignment: this.last });
      this.last = null;
      this.player?.clock.pause();
      await this.next();
      this.say("Your last vote is undone; here is the pair again.");
    });
  }

  // flags

  openFlag() {
    if (this.state !== "voting") return;
    this.player.clock.pause();
    this.dialog.open(this.player.seconds);
    this.dialog.node.addEventListener("close", () => this.player.clock.play(), { once: true });
  }

  addFlag(flag) {
    this.flags.push(flag);
    this.flagCount.textContent = `${this.flags.length} flagged`;
    this.say(`Flagged ${flag.kind} in ${flag.side.toUpperCase()} at ${flag.time_seconds} seconds.`);
  }

  // after a vote

  showReveal(reveal) {
    this.state = "reveal";
    const row = (side) => el("div", {}, el("dt", { text: side.toUpperCase() }), el("dd", { text: reveal[side].title }));
    this.compare = safeLink(reveal.compare);
    const next = el("button", { type: "button", class: "vote-primary", text: "Next pair (Enter)", onclick: () => this.guarded(() => this.next()) });
    const links = this.compare ? [el("a", { class: "wb-link", href: this.compare, target: "_blank", rel: "noopener", text: "Open in Compare (C)" })] : [];
    this.body.append(el("section", { class: "vote-reveal", "aria-label": "What made the videos" }, el("dl", { class: "wb-facts" }, row("a"), row("b")), el("div", { class: "vote-row" }, next, ...links)));
    next.focus();
  }

  showDone(pair) {
    this.state = "done";
    this.player?.reset();
    const more = pair.assignment ? [el("button", { type: "button", class: "wb-link", text: "Vote on more pairs", onclick: () => this.guarded(() => this.next(true)) })] : [];
    const undo = this.last ? [el("button", { type: "button", class: "wb-link", onclick: () => this.undo() }, "Undo last vote ", el("kbd", { text: "U" }))] : [];
    this.body.replaceChildren(el("div", { class: "vote-done" }, el("h1", { text: "Thank you!" }), el("p", { text: `${pair.done} of ${pair.wanted} done. Every vote is saved; you can close this page.` }), el("div", { class: "vote-row" }, ...more, ...undo, ...this.signOut())));
  }

  async leave() {
    await signOut();
    this.last = null; // whoever comes next has votes of their own
  }

  /** Where there are accounts, somebody who leaves can end the session that others would find open. */
  signOut() {
    if (!this.about.passwords) return [];
    return [el("button", { type: "button", class: "wb-link", onclick: () => this.guarded(() => this.leave()), text: "Sign out" })];
  }

  // keys and words

  onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)) return;
    if (this.dialog?.node.open) return;
    const key = event.key.toLowerCase();
    const button = event.target.closest?.("button,a,summary");
    const answer = Object.keys(KEYS).find((name) => KEYS[name].includes(key));
    if (this.state === "voting" && answer) {
      if (!event.repeat && this.current) this.answer(this.current.id, answer);
      if (!this.unlocked) this.say("Please watch both videos first.");
    } else if (answer && WAITING[this.state]) this.say(WAITING[this.state]);
    else if (key === " " && this.state === "voting" && !button) this.player.replay();
    else if (key === "u" && !event.repeat) this.undo();
    else if (key === "f" && !event.repeat) this.openFlag();
    else if (this.state === "reveal" && key === "c" && this.compare) window.open(this.compare, "_blank", "noopener");
    else if (this.state === "reveal" && (key === "n" || (key === "enter" && !button))) this.guarded(() => this.next());
    else return;
    event.preventDefault();
  }

  say(text) {
    this.live.textContent = text;
  }

  warn(text) {
    this.alert.textContent = text;
    this.alert.hidden = !text;
  }

  /** Whatever goes wrong is a sentence, and the page goes on. */
  async guarded(work) {
    try {
      this.warn("");
      await work();
    } catch (error) {
      this.warn(`${error.message.replace(/^./, (letter) => letter.toUpperCase()).replace(/\.$/, "")}.`);
      if (error.status === 401 && this.state !== "intro") await this.start();
      else if (this.state === "loading") this.body.append(el("button", { type: "button", class: "wb-link", text: "Try again", onclick: () => window.location.reload() }));
    }
  }
}

const page = new VotePage(document.getElementById("vote"));
document.getElementById("vote").workbench = page;
page.start();
