// Server-sent events of calls, and whether they still come: a stream that is silent for longer than the server
// lets it be is as lost as one that was closed.
//
// The browser comes back by itself with Last-Event-ID. Where it gave up, a new stream is opened: what happened
// meanwhile is in the lists, which are asked for at each opening.

const KINDS = [
  "call.started",
  "call.ended",
  "recording.started",
  "recording.stopped",
  "recording.paused",
  "recording.resumed",
  "recording.kept",
  "recording.discarded",
  "recording.pause-reminder",
  "recorders.changed",
] as const;

const PATH = "/v1/events";
// Heartbeats come every 15 s, and 15 s more are given to write one.
const SILENT_MS = 35_000;
const RETRY_MS = 5000;

export interface Ears {
  opened: () => void;
  heard: (kind: string, call: string | null) => void;
  /** Events come no more; `refused` when the server says so itself. */
  lost: (refused: boolean) => void;
}

export interface Link {
  /** Whether events come now. */
  readonly open: boolean;
}

export function follow(ears: Ears): Link {
  const link = { open: false };
  let source: EventSource;
  let patience = 0;

  function lose(): void {
    window.clearTimeout(patience);
    link.open = false;
    const closed = source.readyState === EventSource.CLOSED;
    ears.lost(closed);
    if (closed) window.setTimeout(connect, RETRY_MS);
  }

  function alive(): void {
    window.clearTimeout(patience);
    patience = window.setTimeout(() => {
      source.close();
      lose();
    }, SILENT_MS);
  }

  function connect(): void {
    source = new EventSource(PATH);
    source.addEventListener("open", () => {
      link.open = true;
      alive();
      ears.opened();
    });
    source.addEventListener("error", lose);
    source.addEventListener("heartbeat", alive);
    for (const kind of KINDS) {
      source.addEventListener(kind, (event) => {
        alive();
        const told = JSON.parse((event as MessageEvent<string>).data) as { call?: string | null };
        ears.heard(kind, told.call ?? null);
      });
    }
  }

  connect();
  // A page that is kept to come back to must not keep its stream, and has to begin a new one.
  window.addEventListener("pagehide", () => source.close());
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) connect();
  });
  return link;
}
