/**
 * Makes lines of what vCPUs write to the console in pieces of any length: each vCPU's own text up to a newline.
 */

/** Text without a newline is passed on in pieces of this. */
const LONGEST_LINE_BYTES = 1 << 14;
const NEWLINE = 10;

export type LineHandler = (domainId: number, vcpu: number, line: string) => void;

interface Partial {
  readonly domainId: number;
  readonly vcpu: number;
  bytes: Uint8Array;
}

export class LineAssembler {
  private readonly partials = new Map<string, Partial>();
  private readonly decoder = new TextDecoder();

  constructor(private readonly emit: LineHandler) {}

  append(domainId: number, vcpu: number, text: Uint8Array): void {
    const partial = this.partialOf(domainId, vcpu);
    let bytes = join(partial.bytes, text);
    let end = bytes.indexOf(NEWLINE);
    while (end >= 0) {
      this.emit(domainId, vcpu, this.decode(bytes.subarray(0, end)));
      bytes = bytes.subarray(end + 1);
      end = bytes.indexOf(NEWLINE);
    }
    partial.bytes = bytes;
    if (bytes.length >= LONGEST_LINE_BYTES) this.flushOne(partial);
  }

  /** Passes on what never got its newline. */
  flush(): void {
    for (const partial of this.partials.values()) this.flushOne(partial);
  }

  private flushOne(partial: Partial): void {
    if (partial.bytes.length > 0) this.emit(partial.domainId, partial.vcpu, this.decode(partial.bytes));
    partial.bytes = new Uint8Array(0);
  }

  private partialOf(domainId: number, vcpu: number): Partial {
    const key = `${domainId}/${vcpu}`;
    let partial = this.partials.get(key);
    if (partial === undefined) {
      partial = { domainId, vcpu, bytes: new Uint8Array(0) };
      this.partials.set(key, partial);
    }
    return partial;
  }

  private decode(bytes: Uint8Array): string {
    return this.decoder.decode(bytes).replace(/\r$/, '');
  }
}

function join(first: Uint8Array, second: Uint8Array): Uint8Array {
  if (first.length === 0) return second;
  const joined = new Uint8Array(first.length + second.length);
  joined.set(first);
  joined.set(second, first.length);
  return joined;
}
