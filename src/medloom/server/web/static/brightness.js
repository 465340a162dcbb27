// Brightness and contrast by name: windows of a CT for parts of the body, and the full range of any image.

// Centre and width in Hounsfield units; the keys stand in the menu too.
const PRESETS = {
  lung: [-600, 1500], soft: [40, 400], bone: [400, 1800], brain: [40, 80], liver: [60, 160], vessels: [200, 600],
};
export const PRESET_KEYS = { 4: "lung", 5: "soft", 6: "bone", 7: "brain", 8: "liver", 9: "vessels", 0: "full" };

// Whether values are Hounsfield units: the file says so, or it cannot say and the values of a CT reach below water's.
export function isHounsfield(volume, ct) {
  const { unit, colours, range } = volume.header;
  return unit === "HU" || (!unit && ct && colours === 1 && range[0] < -100);
}

// Gives centre and width; null: this image has no such window.
export function windowOf(name, volume, own, hounsfield) {
  const { range: [low, high], slope } = volume.header;
  if (name === "full") return [(low + high) / 2, Math.max(high - low, slope)];
  if (name === "own") return own;
  return (hounsfield && PRESETS[name]) || null;
}
