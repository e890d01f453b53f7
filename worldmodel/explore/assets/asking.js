// One question at a time, always the newest: what changes while an answer is computed is asked once it is there.

const SLOW_MS = 150;
export const COMPILING_MS = 1200, COMPILING = "compiling: the first answer of a kind takes seconds …";

// `next()` asks and takes the answer; `told(words)` says what takes long; `rest()` is called when nothing is left to ask.
export function asking({ next, told, rest }) {
  let running = false, wanted = false;
  return async () => {
    wanted = true;
    if (running) return;
    running = true;
    while (wanted) {
      wanted = false;
      const waits = [
        setTimeout(told, SLOW_MS, "computing …"),
        setTimeout(told, COMPILING_MS, COMPILING),
      ];
      await next();
      waits.forEach(clearTimeout);
    }
    running = false;
    rest();
  };
}
