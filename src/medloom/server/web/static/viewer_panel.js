// What stands beside the image: outlines with their colours, measurements, models that can be asked, and saving.

export class Panel {
  constructor(parts) {
    Object.assign(this, parts);
    this.measured = new Map(); // of a layer: its lesions
  }

  find(selector) {
    return this.root.querySelector(selector);
  }

  fill() {
    this.legend();
    this.targets();
    this.planes();
    this.measures();
    for (const layer of this.state.layers) this.measure(layer);
    if (this.filled) return;
    this.filled = true;
    for (const form of this.root.querySelectorAll("form.viewer-ask"))
      form.addEventListener("submit", (event) => {
        event.preventDefault();
        this.ask(form);
      });
    this.find("#viewer-heat")?.addEventListener("change", (event) => {
      this.state.heat = event.target.checked ? this.kept : null;
      this.redraw();
    });
    this.find("#viewer-target")?.addEventListener("change", () => this.aim());
    this.find("#viewer-brush")?.addEventListener("input", (event) => {
      this.state.radius = Number(event.target.value);
      this.redraw();
    });
    this.find("[data-deed=save]")?.addEventListener("click", () => this.save());
  }

  planes() {
    const main = this.main();
    for (const button of this.root.querySelectorAll("[data-plane]")) {
      const axis = Number(button.dataset.plane);
      const { name } = main.volume.plane(axis);
      button.querySelector("span").textContent = name ? this.say(name) : this.say("plane", { n: axis + 1 });
      button.setAttribute("aria-pressed", String(axis === main.axis));
    }
  }

  // Every outline with its structures and their colours.
  legend() {
    const list = this.find(".viewer-layers");
    list.replaceChildren(...this.state.layers.filter((one) => one.place !== null || one.asked || one.outline?.changed).map((layer) => {
      const item = made("li", "viewer-layer");
      const label = made("label", "choice");
      const box = made("input");
      box.type = "checkbox";
      box.checked = layer.shown;
      box.disabled = Boolean(layer.error);
      box.addEventListener("change", () => {
        layer.shown = box.checked;
        this.redraw();
      });
      label.append(box, made("span", "strong", layer.title));
      item.append(label);
      if (layer.model) {
        const whose = made("p", "viewer-whose");
        whose.append(made("span", "pill", this.say("by_model", { model: layer.model })));
        item.append(whose);
        if (layer.approximate) item.append(made("p", "note", this.say("approximate")));
      }
      if (layer.error) item.append(made("p", "error", layer.error));
      const names = made("ul", "viewer-names");
      for (const [i, name] of layer.names.entries()) {
        const one = made("li");
        one.append(swatch(layer, i + 1), name);
        names.append(one);
      }
      item.append(names);
      return item;
    }));
    this.find(".viewer-overlays").hidden = !list.children.length && !this.kept;
  }

  async measure(layer) {
    if (layer.place === null || layer.error || this.measured.has(layer)) return;
    this.measured.set(layer, null);
    const address = `${this.settings.image}/outlines/${layer.place}/lesions`;
    const answer = await fetch(address, { credentials: "same-origin" }).catch(() => null);
    this.measured.set(layer, answer?.ok ? await answer.json() : []);
    this.measures();
  }

  // The lesions of all outlines, and rulers: each a button that leads there.
  measures() {
    const list = this.find(".viewer-measures");
    const rows = [];
    for (const [layer, found] of this.measured) {
      if (found === null) rows.push(made("li", "note", this.say("measuring")));
      if (layer.redrawn) rows.push(made("li", "note", this.say("sizes_before", { title: layer.title })));
      for (const one of found ?? []) rows.push(this.lesion(layer, one));
    }
    for (const [i, ruler] of this.state.rulers.entries()) rows.push(this.ruler(ruler, i));
    if (!rows.length) rows.push(made("li", "note", this.say("no_lesions")));
    list.replaceChildren(...rows);
  }

  lesion(layer, one) {
    const item = made("li");
    const button = made("button", "viewer-measure");
    button.type = "button";
    const name = layer.names[one.structure - 1] ?? String(one.structure);
    const title = made("span", "strong");
    title.append(swatch(layer, one.structure), `${name} ${one.number}`);
    const side = one.side ? this.say(one.side) : "";
    const size =
      one.score !== undefined ? this.say("score", { n: one.score.toFixed(2) })
      : one.volume !== null ? this.say("volume", { n: (one.volume / 1000).toPrecision(3) })
      : one.area !== null ? this.say("area", { n: one.area.toPrecision(3) })
      : this.say("voxels", { n: one.pixels });
    const axes = one.long === null ? "" : this.say(one.score === undefined ? "axes" : "about_axes", { long: one.long.toFixed(1), short: one.short.toFixed(1) });
    button.append(title, made("span", "soft", [size, axes, side].filter(Boolean).join(" · ")));
    button.addEventListener("click", () => {
      for (const other of this.root.querySelectorAll(".viewer-measure")) other.setAttribute("aria-pressed", String(other === button));
      const slice = one.lines[0]?.[0];
      const main = this.main();
      this.state.lines = one.lines.map((ends) => ({ ends, axis: this.flatAxis(one), colour: "#fff" }));
      const place = [...one.place];
      if (slice) place[this.flatAxis(one)] = slice[this.flatAxis(one)];
      this.jump(place);
      main.canvas.closest(".viewer-stage").scrollIntoView({ block: "nearest" });
    });
    button.setAttribute("aria-pressed", "false");
    item.append(button);
    return item;
  }

  // The axis across which a lesion's diameters lie: their four ends are in one slice.
  flatAxis(one) {
    const ends = one.lines.flat();
    return [0, 1, 2].find((axis) => ends.every((end) => Math.abs(end[axis] - (ends[0]?.[axis] ?? 0)) < 1e-6)) ?? 0;
  }

  ruler(ruler, i) {
    const item = made("li", "viewer-ruler");
    const button = made("button", "viewer-measure");
    button.type = "button";
    button.append(made("span", "strong", this.say("ruler", { n: i + 1 })), made("span", "soft", ruler.said));
    button.addEventListener("click", () => {
      const middle = ruler.ends[0].map((one, axis) => (one + ruler.ends[1][axis]) / 2);
      this.jump(middle);
    });
    const remove = made("button", "button quiet small", "×");
    remove.type = "button";
    remove.setAttribute("aria-label", `${this.say("remove")}: ${this.say("ruler", { n: i + 1 })}`);
    remove.addEventListener("click", () => {
      this.state.rulers.splice(i, 1);
      this.measures();
      this.redraw();
    });
    item.append(button, remove);
    return item;
  }

  // What can be drawn on: each structure of each outline.
  targets() {
    const select = this.find("#viewer-target");
    if (!select) return;
    const before = select.value;
    const options = [];
    for (const layer of this.state.layers.filter((one) => !one.error)) {
      const names = layer.names.length ? layer.names : [layer.title];
      const title = layer.model ? `${layer.title} (${this.say("by_model", { model: layer.model })})` : layer.title;
      for (const [i, name] of names.entries())
        options.push(new Option(names.length > 1 || name !== title ? `${title}: ${name}` : name, `${layer.number} ${i + 1}`));
    }
    select.replaceChildren(...options);
    if (options.some((one) => one.value === before)) select.value = before;
    this.find(".viewer-drawing").hidden = !options.length;
    for (const button of this.root.querySelectorAll("[data-tool=draw], [data-tool=erase]")) button.disabled = !options.length;
    this.aim();
  }

  aim() {
    const value = this.find("#viewer-target").value;
    if (!value) return;
    const [layer, number] = value.split(" ").map(Number);
    this.state.target = { layer: this.state.layers[layer], number };
    const form = this.find(".viewer-accept");
    const { place, outline } = this.state.target.layer;
    form.hidden = place === null;
    form.action = `${this.settings.image}/outlines/${place}/accept`;
    this.find("[data-deed=save]").disabled = !outline?.changed && !this.state.target.layer.asked;
  }

  drawn(said, layer) {
    this.find("[data-deed=save]").disabled = false;
    this.find(".viewer-saved").textContent = said || this.say("unsaved");
    if (layer.redrawn || !this.measured.get(layer)?.length) return;
    layer.redrawn = true;
    this.measures();
  }

  // Takes in what a model outlined: who corrects may save it as it is, or drawn upon.
  offer(layer, sizes) {
    layer.redrawn = false;
    this.measured.set(layer, sizes);
    this.state.lines = [];
    this.fill();
    const select = this.find("#viewer-target");
    if (!select) return;
    select.value = `${layer.number} 1`;
    this.aim();
    this.find(".viewer-saved").textContent = this.say("unsaved");
  }

  async save() {
    const { layer } = this.state.target;
    const told = this.find(".viewer-saved");
    told.textContent = this.say("saving");
    const address = `${this.settings.image}/outlines?${new URLSearchParams({ code: layer.code, mark: this.settings.mark })}`;
    const body = await layer.outline.packed();
    const headers = { "x-csrf-token": this.csrf(), "content-type": "application/octet-stream" };
    const sent = { method: "POST", body, headers, credentials: "same-origin", redirect: "manual" };
    const answer = await fetch(address, sent).catch(() => null);
    if (answer?.type === "opaqueredirect") {
      layer.outline.changed = false;
      location.reload();
      return;
    }
    const why = await answer?.json().catch(() => null);
    told.textContent = why?.error ?? this.say("failed");
  }

  async ask(form) {
    const told = form.querySelector(".viewer-told");
    told.replaceChildren(made("p", "note", this.say("asking")));
    const body = new URLSearchParams(new FormData(form));
    const sent = { method: "POST", body, headers: { "x-csrf-token": this.csrf() }, credentials: "same-origin" };
    const answer = await fetch(form.action, sent).catch(() => null);
    const said = await answer?.json().catch(() => null);
    if (!answer?.ok || !said) {
      told.replaceChildren(made("p", "error", said?.error ?? this.say("failed")));
      return;
    }
    const list = made("dl", "facts");
    for (const one of said.answers) {
      const row = made("div");
      row.append(made("dt", "", one.output), made("dd", "", one.value));
      if (one.range) row.append(made("span", "soft", one.range));
      list.append(row);
    }
    told.replaceChildren(list, ...said.cautions.map((one) => made("p", "caveat", one)));
    if (said.heat) told.append(made("p", "note", said.heat.says));
    else told.append(made("p", "note", this.say(said.outline ? "outlined" : "no_map")));
    this.kept = await this.shown(said);
    this.state.heat = said.heat ? this.kept : null; // where a model is unsure is shown when asked for: it hides the outline
    this.find(".viewer-heat").hidden = !this.kept;
    this.find("#viewer-heat").checked = Boolean(this.state.heat);
    const words = said.heat ? ["where_from", "ramp_nothing", "ramp_most"] : ["where_unsure", "ramp_sure", "ramp_unsure"];
    for (const [i, place] of this.root.querySelectorAll(".viewer-heat [data-word]").entries()) place.textContent = this.say(words[i]);
    this.legend();
    this.redraw();
  }
}

function made(tag, classes = "", text = "") {
  const one = document.createElement(tag);
  if (classes) one.className = classes;
  if (text) one.textContent = text;
  return one;
}

function swatch(layer, number) {
  return made("span", `swatch c${(number - 1 + layer.first) % 7}`);
}
