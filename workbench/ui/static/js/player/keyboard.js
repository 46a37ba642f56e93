/** Keyboard control of a player, from anywhere on its page except inside a field. */

const FIELD = /^(INPUT|TEXTAREA|SELECT)$/;

/** The player under the keys is the one that is visible. */
export function listen(player) {
  const onKey = (event) => {
    if (!player.root.isConnected) return document.removeEventListener("keydown", onKey);
    if (event.ctrlKey || event.metaKey || event.altKey || player.root.offsetParent === null) return;
    const { target } = event;
    const scrubbing = target === player.controls.scrub;
    if ((FIELD.test(target.tagName) && !scrubbing) || target.isContentEditable) return;
    if (target.closest?.("[role=listbox],[role=slider],[role=tab]") && !scrubbing) return;
    if (event.key === " " && target.closest?.("button,a,summary,[role=button]")) return;
    if (press(player, event)) event.preventDefault();
  };
  document.addEventListener("keydown", onKey);
}

function press(player, event) {
  const { clock, stage, controls } = player;
  if (clock.available < 1) return false;
  const step = (direction) => (event.shiftKey ? player.stepChunk(direction) : clock.step(direction));
  const actions = {
    " ": () => player.toggle(),
    arrowleft: () => step(-1), ",": () => clock.step(-1), arrowright: () => step(1), ".": () => clock.step(1),
    home: () => player.seek(0), end: () => player.seek(clock.available - 1),
    r: () => player.restart(), l: () => player.setLoop(!clock.loop),
    "[": () => player.setRange(clock.frame, clock.range?.[1] ?? clock.available - 1),
    "]": () => player.setRange(clock.range?.[0] ?? 0, clock.frame), "\\": () => player.setRange(null),
  };
  if (stage.clips.length > 1) {
    stage.modes().forEach((mode, i) => (actions[i + 1] = () => player.setMode(mode)));
    Object.assign(actions, { x: () => stage.flip(), g: () => controls.nextGain() });
  }
  const action = actions[event.key.toLowerCase()];
  action?.();
  return Boolean(action);
}
