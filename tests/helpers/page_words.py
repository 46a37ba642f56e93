"""Words and numbers on a page that a reader would stumble over, by kinds that a pattern can tell."""

import re

# what people see: texts, fields, hints that come up, and the words of charts
SHOWN = """() => {
  const texts = [document.body.innerText];
  for (const field of document.querySelectorAll('input, textarea')) texts.push(field.value, field.placeholder);
  for (const node of document.querySelectorAll('[title]')) texts.push(node.title);
  for (const node of document.querySelectorAll('svg text')) texts.push(node.textContent);
  return texts.filter(Boolean).join('\\n');
}"""
KINDS = {
    "a power of ten": r"(?<![\w.])\d+(?:\.\d+)?e[+-]?\d+(?!\w)",
    "a negative nothing": r"(?<![\w.])[-\N{MINUS SIGN}]0(?:\.0+)?(?![\w.:,])",
    "one of many": r"(?<![\w.,:/*+-])(?<!\+ )1 (?:clips|frames|prompts|votes|chunks|seeds|models|metrics|pairs"
    r"|steps|switches|annotators|people|files|rows|systems|calls|network calls|prompt switches)\b",
    "many of one": r"(?<![\w.,])(?:0|[2-9]|\d{2,}) (?:clip|frame|prompt|vote|chunk|seed|pair|annotator)\b(?![ -]\w)",
    "a for an": r"\ba (?!(?:one|once|and|is|are|or|in|on|of|at|as|if|it)\b|uni|use|European)[aeiouAEIO]\w+",
    "an for a": r"\ban (?!hour|hon|MP|F|I|L|M|N|R|S|X)[bcdfgjklmnpqrstvwxz]\w+",
    "a chunk or frame before the first": r"\b(?:[Cc]hunk|[Ff]rame) 0\b",
    "a percent sign without its space": r"\d%",
    "nothing at all": r"\b(?:NaN|nan|undefined|Infinity|null(?! character))\b",
    "a for per": r"\b(?:votes?|steps|clips|one|lines?|names?) an? (?:pair|vote|day|line|person|prompt|chunk)\b"
    r"|\bseconds a vote\b",
    "a phrase that needs a key": r"\b(?:in all(?! of)|anew|will not do|first steps|Who meets whom|spoilt|Look again"
    r"|Count again|Seen from|Make (?:it from|them all)|four times (?:of|out of) five|powers of 10|Words of the prompt"
    r"|Tell what made|gone from the disk|set against)\b",
    "a system in the code's form": r"\b[a-z][\w-]*:\d{1,2}(?:\*|(?:[:,]\d{1,2})+)?(?![\w:.])",
    "a word of the code": r"\b(?:t2v|i2v|v2v|forwards|first_steps|guidance_scale|weights_digest)\b",
}


def riddles(page) -> list[str]:
    """What is found on the page as it stands, each with its kind and the words around it."""
    return found_in(page.evaluate(SHOWN))


def found_in(text: str) -> list[str]:
    return [
        f"{kind}: {' '.join(text[max(0, match.start() - 30) : match.end() + 30].split())}"
        for kind, pattern in KINDS.items()
        for match in re.finditer(pattern, text)
    ]
