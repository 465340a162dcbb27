// What lies over an image: outlines that can be drawn on, and maps of where an answer comes from.

// Okabe and Ito's colours, told apart by all eyes and on grey of any depth.
export const COLOURS = [
  [230, 159, 0], [86, 180, 233], [0, 158, 115], [240, 228, 66], [204, 121, 167], [213, 94, 0], [0, 114, 178],
];

export const colourOf = (number) => COLOURS[(number - 1) % COLOURS.length];

let outlines = 0;

export class Outline {
  constructor(volume, labels = new Uint8Array(volume.shape.reduce((a, b) => a * b, 1))) {
    this.volume = volume;
    this.labels = labels;
    this.id = outlines += 1; // another outline in its place is drawn anew
    this.version = 0;
    this.changed = false;
    this.past = [];
  }

  // A stroke is undone as a whole.
  begin() {
    this.past.push(new Map());
    if (this.past.length > 50) this.past.shift();
  }

  // Draws a round dot in a plane, `radius` pixels of its finer side wide; 0 erases.
  dot(axis, slice, x, y, radius, number, only = 0) {
    const { volume, labels } = this;
    const plane = volume.plane(axis);
    const unit = Math.min(plane.wide, plane.high);
    const [right, down] = [(radius * unit) / plane.wide, (radius * unit) / plane.high];
    const stroke = this.past[this.past.length - 1];
    for (let j = Math.ceil(y - down); j <= Math.floor(y + down); j += 1) {
      for (let i = Math.ceil(x - right); i <= Math.floor(x + right); i += 1) {
        if (i < 0 || j < 0 || i >= plane.width || j >= plane.height) continue;
        if (((i - x) / right) ** 2 + ((j - y) / down) ** 2 > 1) continue;
        const at = volume.index(volume.place(axis, slice, i, j));
        if (labels[at] === number || (number === 0 && only && labels[at] !== only)) continue;
        if (!stroke.has(at)) stroke.set(at, labels[at]);
        labels[at] = number;
        this.changed = true;
      }
    }
    this.version += 1;
  }

  undo() {
    const stroke = this.past.pop();
    if (!stroke) return false;
    for (const [at, before] of stroke) this.labels[at] = before;
    this.version += 1;
    return true;
  }

  // The outline packed by gzip, as the server takes it.
  async packed() {
    const stream = new Blob([this.labels]).stream().pipeThrough(new CompressionStream("gzip"));
    return new Response(stream).arrayBuffer();
  }

  static async unpacked(volume, base64) {
    return new Outline(volume, await unpacked(base64));
  }
}

// Numbers from 0 to 255 that came packed by gzip, in base64.
async function unpacked(base64) {
  const bytes = Uint8Array.from(atob(base64), (one) => one.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// How unsure a model is of each pixel of its outline.
export class Unsure {
  constructor(volume, shares) {
    this.volume = volume;
    this.shares = shares;
  }

  at(place) {
    return this.shares[this.volume.index(place)] / 255;
  }

  static async unpacked(volume, base64) {
    return new Unsure(volume, await unpacked(base64));
  }
}

// A map of reasons: few places over the whole image, told between them by what lies around.
export class Heat {
  constructor({ shape, values, axes }) {
    this.shape = shape;
    this.axes = axes;
    const most = Math.max(...values, 1e-12);
    this.values = values.map((one) => Math.max(one, 0) / most);
  }

  at(place) {
    const corner = [0, 0, 0];
    const share = [0, 0, 0];
    for (let axis = 0; axis < 3; axis += 1) {
      const found = place[axis] * this.axes[axis][0] + this.axes[axis][1];
      const within = Math.min(Math.max(found, 0), this.shape[axis] - 1);
      corner[axis] = Math.min(Math.floor(within), Math.max(this.shape[axis] - 2, 0));
      share[axis] = within - corner[axis];
    }
    let sum = 0;
    for (let k = 0; k < 8; k += 1) {
      let weight = 1;
      let index = 0;
      for (let axis = 0; axis < 3; axis += 1) {
        const step = (k >> axis) & 1;
        weight *= step ? share[axis] : 1 - share[axis];
        index = index * this.shape[axis] + Math.min(corner[axis] + step, this.shape[axis] - 1);
      }
      if (weight) sum += weight * this.values[index];
    }
    return sum;
  }
}

// From dark violet over orange to pale yellow, growing brighter evenly.
const STEPS = [[20, 11, 53], [87, 16, 110], [160, 42, 99], [212, 72, 66], [245, 125, 21], [250, 193, 39], [252, 255, 164]];

export function heatColour(share) {
  const at = Math.min(Math.max(share, 0), 1) * (STEPS.length - 1);
  const i = Math.min(Math.floor(at), STEPS.length - 2);
  return STEPS[i].map((one, c) => one + (STEPS[i + 1][c] - one) * (at - i));
}
