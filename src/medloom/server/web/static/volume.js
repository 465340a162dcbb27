// An image as the server sends it: "MLIM", the length of a header, the header in JSON, and plain numbers.
// Places are [slice, row, column], counted from 0; a picture is a volume of one slice.

const KINDS = { u1: Uint8Array, i2: Int16Array, u2: Uint16Array };

// A large volume comes empty, black all over, with `loading`, whose `go` brings its pixels.
export async function readVolume(address) {
  const content = await fetched(address);
  const view = new DataView(content);
  const length = view.getUint32(4, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(content, 8, length)));
  const Numbers = KINDS[header.type];
  const size = header.shape.reduce((a, b) => a * b, 1) * header.colours;
  if (header.whole) return new Volume(header, new Numbers(content, 8 + length, size));
  const volume = new Volume(header, new Numbers(size).fill((header.range[0] - header.intercept) / header.slope));
  volume.loading = new Loading(volume, address, Numbers);
  return volume;
}

async function fetched(address, signal) {
  const answer = await fetch(address, { credentials: "same-origin", signal });
  if (!answer.ok || answer.redirected) throw new Error(`status ${answer.status}`);
  return answer.arrayBuffer();
}

// Brings a volume piece by piece, from the middle outwards: that is where one looks first. It can be stopped and go on.
class Loading {
  constructor(volume, address, Numbers) {
    Object.assign(this, { volume, address, Numbers });
    const each = volume.header.piece;
    const [depth] = volume.shape;
    const away = (piece) => Math.abs((piece + 0.5) * each - depth / 2);
    this.left = [...Array(Math.ceil(depth / each)).keys()].sort((a, b) => away(a) - away(b));
    this.all = this.left.length;
    this.held = new Uint8Array(depth);
  }

  get share() {
    return this.held.reduce((sum, one) => sum + one, 0) / this.held.length;
  }

  get stopped() {
    return this.stopper?.signal.aborted ?? false;
  }

  stop() {
    this.stopper?.abort();
  }

  // Ends when all is there, or it was stopped.
  async go(tell) {
    this.stopper = new AbortController();
    tell();
    await Promise.all([this.fetchOn(tell, this.stopper.signal), this.fetchOn(tell, this.stopper.signal)]);
  }

  async fetchOn(tell, signal) {
    const { volume, held, Numbers } = this;
    const each = volume.header.piece;
    const size = volume.data.length / volume.shape[0];
    while (this.left.length && !signal.aborted) {
      const piece = this.left.shift();
      try {
        const numbers = new Numbers(await fetched(`${this.address}/${piece}`, signal));
        volume.data.set(numbers, piece * each * size);
        held.fill(1, piece * each, (piece + 1) * each);
      } catch (error) {
        this.left.unshift(piece);
        if (!signal.aborted) throw error;
        return;
      }
      volume.version += 1;
      tell();
    }
  }
}

export class Volume {
  constructor(header, data) {
    this.header = header;
    this.data = data;
    this.shape = header.shape;
    this.colours = header.colours;
    this.spacing = header.spacing ?? [1, 1, 1];
    this.version = 0;
  }

  get isFlat() {
    return this.shape[0] === 1;
  }

  index([slice, row, column]) {
    return (slice * this.shape[1] + row) * this.shape[2] + column;
  }

  // Whether a place is in the volume, and its value has come.
  holds(place) {
    return place.every((one, axis) => one >= 0 && one < this.shape[axis]) && this.loading?.held[place[0]] !== 0;
  }

  // The value at a place, in the image's unit; three of a coloured picture.
  value(place) {
    const at = this.index(place);
    if (this.colours === 3) return [...this.data.subarray(3 * at, 3 * at + 3)];
    return this.data[at] * this.header.slope + this.header.intercept;
  }

  // The size of a plane in pixels, and of a pixel in mm (1 where that is not known).
  plane(axis) {
    const { name, across, down, turned } = this.header.planes[axis];
    return {
      name, across, down, turned,
      width: this.shape[across], height: this.shape[down],
      wide: this.spacing[across], high: this.spacing[down],
    };
  }

  // From places in a plane (to the right, down; whole or not) to places of the volume, and back.
  place(axis, slice, x, y) {
    const plane = this.plane(axis);
    const found = [0, 0, 0];
    found[axis] = slice;
    found[plane.across] = plane.turned[0] ? plane.width - 1 - x : x;
    found[plane.down] = plane.turned[1] ? plane.height - 1 - y : y;
    return found;
  }

  inPlane(axis, place) {
    const plane = this.plane(axis);
    const x = place[plane.across];
    const y = place[plane.down];
    return [plane.turned[0] ? plane.width - 1 - x : x, plane.turned[1] ? plane.height - 1 - y : y];
  }

  // Walks a plane's pixels row by row: calls with the number of the pixel and its index in the volume.
  walk(axis, slice, visit) {
    const plane = this.plane(axis);
    const steps = [this.shape[1] * this.shape[2], this.shape[2], 1];
    const right = plane.turned[0] ? -steps[plane.across] : steps[plane.across];
    const below = plane.turned[1] ? -steps[plane.down] : steps[plane.down];
    let begin = this.index(this.place(axis, slice, 0, 0));
    let number = 0;
    for (let y = 0; y < plane.height; y += 1, begin += below) {
      for (let x = 0, at = begin; x < plane.width; x += 1, at += right) visit(number++, at);
    }
  }

  // Where a place is in the patient, in mm; null: not known.
  position(place) {
    const { affine } = this.header;
    return affine && [0, 1, 2].map((i) => affine[i][3] + place.reduce((sum, one, j) => sum + affine[i][j] * one, 0));
  }

  // The place nearest to a position in the patient.
  placeOf(position) {
    const { affine } = this.header;
    const steps = [0, 1, 2].map((j) => [0, 1, 2].map((i) => affine[i][j]));
    const from = position.map((one, i) => one - affine[i][3]);
    const [a, b, c] = steps;
    const whole = dot(a, cross(b, c));
    return [dot(from, cross(b, c)) / whole, dot(from, cross(c, a)) / whole, dot(from, cross(a, b)) / whole];
  }
}

// Grey levels 0 to 255 of a window, by what is stored: tables are quicker than sums.
export function greyTable(volume, [centre, width]) {
  const { type, slope, intercept } = volume.header;
  const [first, n] = { u1: [0, 256], i2: [-32768, 65536], u2: [0, 65536] }[type];
  const table = new Uint8ClampedArray(n);
  for (let i = 0; i < n; i += 1) table[i] = (((i + first) * slope + intercept - centre) / width + 0.5) * 255;
  return { table, first };
}

const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
