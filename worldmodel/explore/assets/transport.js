// Requests over the page's socket. `connect()` gives `ask(request)`, which promises the answer.

export function connect(address = `ws://${location.host}/socket`) {
  const waiting = new Map();
  let last = 0;
  let socket = null;

  const open = () => new Promise((resolve) => {
    const made = new WebSocket(address);
    made.onopen = () => resolve(made);
    made.onerror = () => resolve(null);
    made.onmessage = ({ data }) => {
      const answer = JSON.parse(data);
      waiting.get(answer.id)?.(answer);
      waiting.delete(answer.id);
    };
    made.onclose = () => {
      socket = null;
      for (const resolveOne of waiting.values()) resolveOne({ error: GONE });
      waiting.clear();
    };
  });

  return async (request) => {
    socket ??= open();
    const made = await socket;
    if (made === null) { socket = null; return { error: GONE }; }
    return new Promise((resolve) => {
      waiting.set(++last, resolve);
      made.send(JSON.stringify({ ...request, id: last }));
    });
  };
}

const GONE = "The program behind this page does not answer.\n  remedy:   start worldmodel explore again, and reload the page";
