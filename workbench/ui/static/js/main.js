/** Mounts the page's own components: `mount(module, element, api)` is called by each of them once. */
import * as address from "./address.js";
import * as board from "./board.js";
import * as cells from "./player/cells.js";
import * as chart from "./charts/chart.js";
import * as checklist from "./checklist.js";
import * as figure from "./charts/figure.js";
import * as picker from "./picker.js";
import * as player from "./player/player.js";
import * as preview from "./preview.js";
import * as reference from "./reference.js";
import * as selftest from "./selftest.js";
import * as source from "./source.js";
import * as status from "./status.js";
import * as table from "./table.js";

const MODULES = { address, board, cells, chart, checklist, figure, picker, player, preview, reference, selftest, source, status, table };

export function mount(name, element, api) {
  return MODULES[name].mount(element.querySelector(".wb-root"), api);
}
