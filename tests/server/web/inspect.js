// What a page owes its readers, looked for in the page as it is drawn; gives a list of what it lacks.
// Contrast as in WCAG 2.2, 1.4.3: 4.5 to 1, large letters 3 to 1; what is disabled is exempt.
() => {
  const found = [];
  const told = (element) => {
    const text = (element.textContent || element.value || "").trim().replace(/\s+/g, " ").slice(0, 40);
    return `<${element.tagName.toLowerCase()} ${element.getAttribute("class") ?? ""}> "${text}"`;
  };
  const color = (said) => {
    const numbers = said.match(/-?[\d.]+(?:e-?\d+)?%?/g)?.map(Number) ?? [0, 0, 0, 0];
    const scale = said.startsWith("color(") ? 255 : 1;
    return [...numbers.slice(0, 3).map((one) => one * scale), numbers[3] ?? 1];
  };
  const over = ([r, g, b, a], below) => [r, g, b].map((one, at) => one * a + below[at] * (1 - a));
  const brightness = (rgb) => {
    const [r, g, b] = rgb.map((one) => (one / 255 <= 0.04045 ? one / 255 / 12.92 : ((one / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    const layers = [];
    for (let one = element; one; one = one.parentElement) {
      const layer = color(getComputedStyle(one).backgroundColor);
      if (layer[3]) layers.push(layer);
      if (layer[3] === 1) break;
    }
    const canvas = matchMedia("(prefers-color-scheme: dark)").matches ? [18, 18, 18] : [255, 255, 255];
    return layers.reverse().reduce((below, layer) => over(layer, below), canvas);
  };
  const opacity = (element) => {
    let share = 1;
    for (let one = element; one; one = one.parentElement) share *= Number(getComputedStyle(one).opacity);
    return share;
  };
  const drawn = (element) =>
    element.checkVisibility({ opacityProperty: true, visibilityProperty: true, contentVisibilityAuto: true }) &&
    !element.closest(".unseen, [hidden], span.button, :disabled, [aria-disabled=true], .skip:not(:focus)");

  const read = new Set();
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) if (texts.currentNode.data.trim()) read.add(texts.currentNode.parentElement);
  for (const control of document.querySelectorAll("input:not([type=hidden]), select, textarea")) read.add(control);
  for (const element of read) {
    if (element.closest("script, style, title, desc, defs, option") || !drawn(element)) continue;
    const style = getComputedStyle(element);
    const inDrawing = element.namespaceURI.endsWith("svg");
    const ink = color(inDrawing ? style.fill : style.color);
    const below = ground(element);
    ink[3] *= opacity(element) * (inDrawing ? Number(style.fillOpacity) : 1);
    const [light, dark] = [brightness(over(ink, below)), brightness(below)].sort((a, b) => b - a);
    const ratio = (light + 0.05) / (dark + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (large ? 3 : 4.5)) found.push(`contrast ${ratio.toFixed(2)}: ${told(element)}`);
  }

  const titles = [...document.querySelectorAll("h1")].filter(drawn);
  if (titles.length !== 1) found.push(`${titles.length} h1`);
  const levels = [...document.querySelectorAll("h1, h2, h3, h4")].filter(drawn).map((one) => Number(one.tagName[1]));
  levels.forEach((level, at) => at && level > levels[at - 1] + 1 && found.push(`h${level} after h${levels[at - 1]}`));
  if (!/^(en|zh-CN)$/.test(document.documentElement.lang)) found.push("no language");
  if (!document.title.trim()) found.push("no title");
  const ids = [...document.querySelectorAll("[id]")].map((one) => one.id);
  for (const id of new Set(ids.filter((id, at) => ids.indexOf(id) !== at))) found.push(`id twice: ${id}`);
  for (const control of document.querySelectorAll("input:not([type=hidden]), select, textarea")) {
    if (!control.labels.length && !control.ariaLabel && !control.getAttribute("aria-labelledby")) {
      found.push(`no label: ${control.name}`);
    }
  }
  return found;
}
