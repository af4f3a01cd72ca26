// @ts-check
/** As much of `EventSource` as the client needs, for Node, which has none. */
export class EventSource {
  #stop = new AbortController();
  /** @type {((event: {data: string}) => void)|null} */ onmessage = null;
  /** @type {(() => void)|null} */ onerror = null;

  constructor(/** @type {string} */ url) {
    this.#read(url).catch(() => {}).finally(() => this.#stop.signal.aborted || this.onerror?.());
  }

  async #read(/** @type {string} */ url) {
    const answer = await fetch(url, { signal: this.#stop.signal });
    if (!answer.ok || !answer.body) return;
    let text = "";
    for await (const chunk of answer.body.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
        const data = text.slice(0, end).split("\n").filter((line) => line.startsWith("data: ")).map((line) => line.slice(6));
        text = text.slice(end + 2);
        if (data.length) this.onmessage?.({ data: data.join("\n") });
      }
    }
  }

  close() {
    this.#stop.abort();
  }
}
