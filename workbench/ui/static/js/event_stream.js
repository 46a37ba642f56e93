// Keeps answers of the server from being lost. A plain script, run before Gradio's own.
//
// Gradio's client reads the answers to all events of a page from one stream. The server ends it when nothing is left to
// answer, and the client opens another one for the next event. An event that is sent after the server has ended the stream
// and before the client has read so is answered, but nobody reads the answer, and the page waits for ever. Here such a
// stream goes on instead, unseen by the client.
(() => {
  const fetchPlainly = window.fetch;
  const asked = new Set(); // ids of events without an answer
  const answered = new Set(); // ids whose answer came before the answer to sending them
  let ending; // the signal of a stream whose end the client has yet to read

  window.fetch = async (resource, options) => {
    const path = new URL(resource?.url ?? resource, window.location.href).pathname;
    if (path.endsWith('/gradio_api/queue/join')) return join(resource, options);
    if (path.endsWith('/gradio_api/queue/data')) return listen(resource, options);
    return fetchPlainly(resource, options);
  };

  async function join(resource, options) {
    const response = await fetchPlainly(resource, options);
    const id = response.ok && (await response.clone().json()).event_id;
    if (id && !answered.delete(id)) asked.add(id);
    await endIsRead();
    return response;
  }

  // the client gives up its stream by this signal when it has read that it ended
  function endIsRead() {
    if (!ending || ending.aborted) return undefined;
    return new Promise((next) => {
      ending.addEventListener('abort', next, { once: true });
      setTimeout(next, 5000);
    });
  }

  async function listen(resource, options) {
    const response = await fetchPlainly(resource, options);
    if (!response.ok || !response.body) return response;
    const body = new ReadableStream({
      async start(out) {
        try {
          let source = response;
          while (await pass(source, out, options)) {
            source = await fetchPlainly(resource, options);
            if (!source.ok) throw new Error(`The stream of answers does not go on (${source.status}).`);
          }
          out.close();
        } catch (error) {
          out.error(error);
        }
      },
    });
    return new Response(body, response);
  }

  // hands the messages of one stream on; true when it ended with events still to be answered
  async function pass(response, out, options) {
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    const encoder = new TextEncoder();
    let text = '';
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return false;
      const messages = (text + value).split('\n\n');
      text = messages.pop();
      for (const message of messages) {
        if (!goesOn(message, options)) return true;
        out.enqueue(encoder.encode(`${message}\n\n`));
      }
    }
  }

  // false for the end of a stream that must not end yet
  function goesOn(message, options) {
    const { msg, event_id: id } = message.startsWith('data: ') ? JSON.parse(message.slice(6)) : {};
    if (msg === 'process_completed' && !asked.delete(id)) answered.add(id);
    if (msg !== 'close_stream') return true;
    if (asked.size) return false;
    ending = options?.signal;
    return true;
  }
})();
