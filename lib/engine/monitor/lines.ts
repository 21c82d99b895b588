/** Lines of JSON from a socket: put together from what arrives, cut off where they get too long. */
import type { Socket } from 'node:net';
import { StringDecoder } from 'node:string_decoder';

export interface LineHandler {
  line(text: string): void;
  /** A line is longer than allowed; no further ones come. */
  tooLong(): void;
}

/** @param most - bytes of a line */
export function readLines(socket: Socket, most: number, handler: LineHandler): void {
  const decoder = new StringDecoder('utf8');
  let parts: string[] = [];
  let length = 0;
  const onData = (bytes: Buffer): void => {
    const [rest = '', ...lines] = decoder.write(bytes).split('\n');
    let open = rest;
    for (const next of lines) {
      const line = parts.join('') + open;
      parts = [];
      length = 0;
      open = next;
      if (line.length > most) {
        stop();
        return;
      }
      handler.line(line);
    }
    parts.push(open);
    length += open.length;
    if (length > most) stop();
  };
  const stop = (): void => {
    socket.off('data', onData);
    socket.resume();
    parts = [];
    handler.tooLong();
  };
  socket.on('data', onData);
}
