// One plane of a volume on a canvas: the image in its window, what lies over it, letters, a scale, and a cross.

import { colourOf, heatColour } from "./marks.js";
import { greyTable } from "./volume.js";

const INK = "#f2f5f8";
const CROSS = "rgb(86 180 233 / .75)";
const SCALES = [1, 2, 5, 10, 20, 50, 100, 200];

export class Pane {
  constructor(canvas, volume, axis, label = "") {
    this.canvas = canvas;
    this.volume = volume;
    this.axis = axis;
    this.label = label;
    this.zoom = 1;
    this.pan = [0, 0]; // in pixels of the screen
    this.kept = new Map(); // drawings of slices
  }

  get plane() {
    return this.volume.plane(this.axis);
  }

  // What turns a place in the plane into one on the canvas.
  get fit() {
    const { width, height, wide, high } = this.plane;
    const [w, h] = [this.canvas.clientWidth, this.canvas.clientHeight];
    const scale = Math.min(w / (width * wide), h / (height * high)) * this.zoom;
    const [sx, sy] = [scale * wide, scale * high];
    return { sx, sy, x: (w - width * sx) / 2 + this.pan[0], y: (h - height * sy) / 2 + this.pan[1], mm: scale };
  }

  toCanvas(place) {
    const { sx, sy, x, y } = this.fit;
    const [i, j] = this.volume.inPlane(this.axis, place);
    return [x + (i + 0.5) * sx, y + (j + 0.5) * sy];
  }

  // The place in the plane below a point of the canvas; whole numbers are the middles of pixels.
  under(px, py) {
    const { sx, sy, x, y } = this.fit;
    return [(px - x) / sx - 0.5, (py - y) / sy - 0.5];
  }

  zoomAt(factor, px, py) {
    const [i, j] = this.under(px, py);
    this.zoom = Math.min(Math.max(this.zoom * factor, 0.3), 40);
    const { sx, sy, x, y } = this.fit;
    this.pan[0] += px - (x + (i + 0.5) * sx);
    this.pan[1] += py - (y + (j + 0.5) * sy);
  }

  reset() {
    this.zoom = 1;
    this.pan = [0, 0];
  }

  draw(shown) {
    const { canvas } = this;
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    const [w, h] = [canvas.clientWidth, canvas.clientHeight];
    if (!w || !h) return;
    if (canvas.width !== Math.round(w * ratio) || canvas.height !== Math.round(h * ratio)) {
      canvas.width = Math.round(w * ratio);
      canvas.height = Math.round(h * ratio);
    }
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, w, h);
    const slice = shown.place[this.axis];
    const { sx, sy, x, y } = this.fit;
    const { width, height } = this.plane;
    const lay = (drawing, smooth) => {
      pen.imageSmoothingEnabled = smooth;
      pen.imageSmoothingQuality = "high";
      pen.drawImage(drawing, x, y, width * sx, height * sy);
    };
    lay(this.image(slice, shown.window), Math.max(sx, sy) < 12 && shown.smooth);
    if (shown.heat) {
      pen.globalAlpha = shown.opacity;
      lay(this.heat(slice, shown.heat), true);
      pen.globalAlpha = 1;
    }
    for (const layer of shown.layers) {
      const drawing = this.marked(slice, layer);
      pen.globalAlpha = shown.opacity * 0.45;
      lay(drawing.fill, false);
      pen.globalAlpha = Math.min(1, 0.25 + shown.opacity);
      this.edges(pen, drawing.edges);
      pen.globalAlpha = 1;
    }
    if (shown.cross && !this.volume.isFlat) this.crossing(pen, shown.place, w, h);
    for (const line of shown.lines) this.line(pen, line, slice);
    this.letters(pen, w, h);
    if (shown.scale) this.scaleBar(pen, w, h);
    if (shown.brush && shown.brush.pane === this) this.ring(pen, shown.brush);
  }

  image(slice, level) {
    const key = `image ${slice} ${level} ${this.volume.version}`;
    return this.once("image", key, () => this.painted((pixels) => {
      const { data, colours } = this.volume;
      if (colours === 3) {
        const half = level[1] / 2;
        const grey = (one) => ((one - level[0]) / (2 * half) + 0.5) * 255;
        this.volume.walk(this.axis, slice, (i, at) => {
          for (let c = 0; c < 3; c += 1) pixels[4 * i + c] = grey(data[3 * at + c]);
          pixels[4 * i + 3] = 255;
        });
        return;
      }
      const { table, first } = this.table(level);
      const words = new Uint32Array(pixels.buffer);
      this.volume.walk(this.axis, slice, (i, at) => {
        const grey = table[data[at] - first];
        words[i] = 0xff000000 | (grey << 16) | (grey << 8) | grey;
      });
    }));
  }

  table(level) {
    const key = String(level);
    if (this.levels?.key !== key) this.levels = { key, made: greyTable(this.volume, level) };
    return this.levels.made;
  }

  heat(slice, heat) {
    return this.once("heat", `${slice} ${heat.number}`, () => this.painted((pixels) => {
      const { width, height } = this.plane;
      for (let y = 0, i = 0; y < height; y += 1) {
        for (let x = 0; x < width; x += 1, i += 4) {
          const share = heat.map.at(this.volume.place(this.axis, slice, x, y));
          const colour = heatColour(share);
          for (let c = 0; c < 3; c += 1) pixels[i + c] = colour[c];
          pixels[i + 3] = 255 * Math.sqrt(share);
        }
      }
    }));
  }

  // The area of each structure, and the lines between it and what is beside.
  marked(slice, layer) {
    const { outline } = layer;
    return this.once(`layer ${layer.number}`, `${slice} ${outline.id} ${outline.version}`, () => {
      const { width, height } = this.plane;
      const numbers = new Uint8Array(width * height);
      const fill = this.painted((pixels) => {
        this.volume.walk(this.axis, slice, (i, at) => {
          const number = outline.labels[at];
          if (!number) return;
          numbers[i] = number;
          const colour = colourOf(number + layer.first);
          for (let c = 0; c < 3; c += 1) pixels[4 * i + c] = colour[c];
          pixels[4 * i + 3] = 255;
        });
      });
      const edges = new Map();
      const path = (number) => {
        if (!edges.has(number)) edges.set(number, { colour: colourOf(number + layer.first), path: new Path2D() });
        return edges.get(number).path;
      };
      for (let y = 0, i = 0; y < height; y += 1) {
        for (let x = 0; x < width; x += 1, i += 1) {
          const number = numbers[i];
          if (!number) continue;
          const line = (x1, y1, x2, y2) => {
            const on = path(number);
            on.moveTo(x1, y1);
            on.lineTo(x2, y2);
          };
          if (x === 0 || numbers[i - 1] !== number) line(x, y, x, y + 1);
          if (x === width - 1 || numbers[i + 1] !== number) line(x + 1, y, x + 1, y + 1);
          if (y === 0 || numbers[i - width] !== number) line(x, y, x + 1, y);
          if (y === height - 1 || numbers[i + width] !== number) line(x, y + 1, x + 1, y + 1);
        }
      }
      return { fill, edges };
    });
  }

  edges(pen, edges) {
    const { sx, sy, x, y } = this.fit;
    for (const { colour, path } of edges.values()) {
      const placed = new Path2D();
      placed.addPath(path, new DOMMatrix([sx, 0, 0, sy, x, y]));
      pen.strokeStyle = `rgb(${colour})`;
      pen.lineWidth = 1.6;
      pen.stroke(placed);
    }
  }

  crossing(pen, place, w, h) {
    const [x, y] = this.toCanvas(place);
    const gap = 9;
    pen.strokeStyle = CROSS;
    pen.lineWidth = 1;
    pen.beginPath();
    for (const [x1, y1, x2, y2] of [[0, y, x - gap, y], [x + gap, y, w, y], [x, 0, x, y - gap], [x, y + gap, x, h]]) {
      pen.moveTo(x1, y1);
      pen.lineTo(x2, y2);
    }
    pen.stroke();
  }

  // A line between two places; dim where it lies in another slice, and not drawn from far away.
  line(pen, { ends, said, colour, axis, dashed }, slice) {
    if (axis !== undefined && axis !== this.axis) return;
    const away = Math.max(...ends.map((end) => Math.abs(Math.round(end[this.axis]) - slice)));
    if (away > 0.5) return;
    const [[x1, y1], [x2, y2]] = ends.map((end) => this.toCanvas(end));
    pen.setLineDash(dashed ? [4, 3] : []);
    for (const [style, wide] of [["rgb(0 0 0 / .65)", 4], [colour ?? "#ffe45c", 1.8]]) {
      pen.strokeStyle = style;
      pen.lineWidth = wide;
      pen.beginPath();
      pen.moveTo(x1, y1);
      pen.lineTo(x2, y2);
      pen.stroke();
    }
    pen.setLineDash([]);
    if (said) this.text(pen, said, Math.max(x1, x2) + 8, (y1 + y2) / 2, "left", "middle");
  }

  letters(pen, w, h) {
    const ends = this.volume.header.ends;
    if (this.label) this.text(pen, this.label, 10, 10, "left", "top");
    if (!ends) return;
    const { across, down, turned } = this.plane;
    const right = ends[across][turned[0] ? 0 : 1];
    const left = ends[across][turned[0] ? 1 : 0];
    this.text(pen, left, 10, h / 2, "left", "middle", 15);
    this.text(pen, right, w - 10, h / 2, "right", "middle", 15);
    this.text(pen, ends[down][turned[1] ? 1 : 0], w / 2, 10, "center", "top", 15);
    this.text(pen, ends[down][turned[1] ? 0 : 1], w / 2, h - 10, "center", "bottom", 15);
  }

  scaleBar(pen, w, h) {
    if (!this.volume.header.spacing) return;
    const { mm } = this.fit;
    const long = SCALES.find((one) => one * mm > 60) ?? SCALES[SCALES.length - 1];
    const [x, y, n] = [w - 14, h - 14, long * mm];
    for (const [style, wide] of [["rgb(0 0 0 / .7)", 5], [INK, 2]]) {
      pen.strokeStyle = style;
      pen.lineWidth = wide;
      pen.beginPath();
      pen.moveTo(x - n, y - 5);
      pen.lineTo(x - n, y);
      pen.lineTo(x, y);
      pen.lineTo(x, y - 5);
      pen.stroke();
    }
    this.text(pen, `${long} mm`, x - n / 2, y - 6, "center", "bottom");
  }

  ring(pen, { at, radius, erases }) {
    const { sx, sy } = this.fit;
    const { wide, high } = this.plane;
    const unit = Math.min(wide, high);
    pen.strokeStyle = erases ? "#fff" : "#ffe45c";
    pen.lineWidth = 1.5;
    pen.setLineDash(erases ? [3, 3] : []);
    pen.beginPath();
    pen.ellipse(at[0], at[1], ((radius * unit) / wide) * sx, ((radius * unit) / high) * sy, 0, 0, 2 * Math.PI);
    pen.stroke();
    pen.setLineDash([]);
  }

  text(pen, said, x, y, align, baseline, size = 12) {
    pen.font = `600 ${size}px system-ui, "Noto Sans CJK SC", sans-serif`;
    pen.textAlign = align;
    pen.textBaseline = baseline;
    pen.lineJoin = "round";
    pen.strokeStyle = "rgb(0 0 0 / .8)";
    pen.lineWidth = 3;
    pen.strokeText(said, x, y);
    pen.fillStyle = INK;
    pen.fillText(said, x, y);
  }

  // A drawing of the plane's own size.
  painted(paint) {
    const { width, height } = this.plane;
    const made = document.createElement("canvas");
    made.width = width;
    made.height = height;
    const pen = made.getContext("2d");
    const pixels = pen.createImageData(width, height);
    paint(pixels.data);
    pen.putImageData(pixels, 0, 0);
    return made;
  }

  once(name, key, make) {
    const known = this.kept.get(name);
    if (known?.key === key) return known.made;
    const made = make();
    this.kept.set(name, { key, made });
    return made;
  }
}
