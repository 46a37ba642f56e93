/** Mounts the page's own components: `mount(module, element, api)` is called by each of them once. */
import * as chart from "./chart.js";
import * as checklist from "./checklist.js";
import * as picker from "./picker.js";
import * as player from "./player.js";
import * as selftest from "./selftest.js";
import * as status from "./status.js";
import * as table from "./table.js";

const MODULES = { chart, checklist, picker, player, selftest, status, table };

export function mount(name, element, api) {
  return MODULES[name].mount(element.querySelector(".wb-root"), api);
}
