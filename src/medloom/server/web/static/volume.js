// An image as the server sends it: "MLIM", the length of a header, the header in JSON, and plain numbers.
// Places are [slice, row, column], counted from 0; a picture is a volume of one slice.

const KINDS = { u1: Uint8Array, i2: Int16Array, u2: Uint16Array };

export async function readVolume(address, tell = () => {}) {
  const content = await fetched(address);
  const view = new DataView(content);
  const length = view.getUint32(4, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(content, 8, length)));
  const Numbers = KINDS[header.type];
  const size = header.shape.reduce((a, b) => a * b, 1) * header.colours;
  const data = header.whole ? new Numbers(content, 8 + length, size) : new Numbers(size);
  const volume = new Volume(header, data);
  if (!header.whole) volume.fetching = fill(volume, address, Numbers, tell);
  return volume;
}

async function fetched(address) {
  const answer = await fetch(address, { credentials: "same-origin" });
  if (!answer.ok || answer.redirected) throw new Error(`status ${answer.status}`);
  return answer.arrayBuffer();
}

// Slices come from the middle outwards: that is where one looks first.
async function fill(volume, address, Numbers, tell) {
  const [depth] = volume.shape;
  const middle = depth >> 1;
  const order = [...Array(depth).keys()].sort((a, b) => Math.abs(a - middle) - Math.abs(b - middle));
  const size = volume.data.length / depth;
  let done = 0;
  const worker = async () => {
    while (order.length) {
      const number = order.shift();
      volume.data.set(new Numbers(await fetched(`${address}/${number}`)), number * size);
      volume.version += 1;
      tell((done += 1) / depth);
    }
  };
  await Promise.all([worker(), worker(), worker()]);
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

  holds(place) {
    return place.every((one, axis) => one >= 0 && one < this.shape[axis]);
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
