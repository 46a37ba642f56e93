"""What keeps people from using a page: what axe finds, and texts that run out of where they stand."""

from axe_playwright_python.sync_playwright import Axe

SERIOUS = ("serious", "critical")


# texts of charts beyond the chart's edge where nothing scrolls, and names of panels under the legend
CHART_TEXTS = """() => [...document.querySelectorAll('.wb-chart:not([hidden])')].flatMap((chart) => {
  const all = (selector) => [...chart.querySelectorAll(selector)]
    .map((node) => ({ text: node.textContent, box: node.getBoundingClientRect() }))
    .filter(({ text, box }) => text.trim() && box.width);
  const edge = chart.getBoundingClientRect();
  const scrolls = chart.scrollWidth > chart.clientWidth + 1;
  const leaves = ({ box }) => box.left < edge.left - 1 || box.right > edge.right + 1;
  const meet = (a, b) => a.top < b.bottom - 1 && b.top < a.bottom - 1 && a.left < b.right && b.left < a.right;
  const legend = all('.legendtext');
  const covered = ({ box }) => legend.some((entry) => meet(box, entry.box));
  return [
    ...(scrolls ? [] : all('svg text').filter(leaves)).map(({ text }) => `beyond the edge: ${text}`),
    ...all('.annotation-text').filter(covered).map(({ text }) => `under the legend: ${text}`),
  ];
})"""
# chosen values that run under the arrow of their field
UNDER_ARROWS = """() => [...document.querySelectorAll('input[role=combobox]')].filter((field) => {
  const arrow = field.parentElement.querySelector('.icon-wrap')?.getBoundingClientRect();
  const style = getComputedStyle(field), box = field.getBoundingClientRect();
  const end = box.right - parseFloat(style.paddingRight);
  return arrow && (style.textOverflow !== 'ellipsis' || end > arrow.left + 3);
}).map((field) => field.ariaLabel)"""


def cut_texts(page) -> list[str]:
    """Texts of charts and of fields that are cut or covered."""
    return page.evaluate(CHART_TEXTS) + [f"under its arrow: {name}" for name in page.evaluate(UNDER_ARROWS)]


def faults(page) -> list[str]:
    """Serious and critical faults, in words."""
    found = Axe().run(page).response["violations"]
    return [
        f"{violation['id']}: {node['html'][:200]}"
        for violation in found
        if violation["impact"] in SERIOUS
        for node in violation["nodes"]
    ]
