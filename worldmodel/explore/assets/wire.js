// An answer whose arrays came apart from it: in their places stands where they begin, and their shape.

export function unpacked(part, floats, pixels) {
  if (part === null || typeof part !== "object") return part;
  if (Array.isArray(part)) return part.map((each) => unpacked(each, floats, pixels));
  const first = part.f32 ?? part.u8;
  if (part.shape && first !== undefined) {
    const array = (part.u8 === undefined ? floats : pixels).subarray(first, first + part.shape.reduce((n, m) => n * m, 1));
    return Object.assign(array, { shape: part.shape });
  }
  return Object.fromEntries(Object.entries(part).map(([key, value]) => [key, unpacked(value, floats, pixels)]));
}

// What stands along the first axis of an array.
export function parts(array) {
  const [count] = array.shape, size = array.length / count;
  return Array.from({ length: count }, (_, i) => Object.assign(array.subarray(i * size, (i + 1) * size), { shape: array.shape.slice(1) }));
}
