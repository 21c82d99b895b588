/** The host's end of the console and the log: makes lines of what the threads wrote and hands them on in order. */
import { DEVICE_DOMAIN } from './device-thread';
import type { DomainRun } from './domain-run';
import { LineAssembler } from './line-assembler';
import type { MachineHost } from './machine-host';
import { OutputRing, RecordKind } from './output-ring';
import type { OutputLine, RunOptions } from './run-options';
import type { GuestFailure } from './vcpu-thread';

export class OutputReader {
  private readonly ring: OutputRing;
  private readonly console: LineAssembler;
  private readonly decoder = new TextDecoder();

  constructor(
    private readonly host: MachineHost,
    private readonly handlers: Pick<RunOptions, 'onConsole' | 'onLog'>,
  ) {
    this.ring = new OutputRing(host.output);
    this.console = new LineAssembler((domainId, vcpu, text) => handlers.onConsole?.(this.line(domainId, vcpu, text)));
  }

  /** Hands over what has been written so far. */
  drain(): void {
    this.ring.drain((kind, domainId, vcpu, text) => {
      if (kind === RecordKind.CONSOLE) this.console.append(domainId, vcpu, text);
      else if (kind === RecordKind.LOG) this.handlers.onLog?.(this.line(domainId, vcpu, this.decode(text)));
      else this.domainOf(domainId)?.failed(vcpu, this.failure(text));
    });
  }

  /** Hands over the rest, the last line without its newline included. */
  finish(): void {
    this.drain();
    this.console.flush();
  }

  private decode(text: Uint8Array): string {
    return this.host.mapStack(this.decoder.decode(text));
  }

  private failure(text: Uint8Array): GuestFailure {
    const { reason, error } = JSON.parse(this.decoder.decode(text)) as GuestFailure;
    return { reason, error: { ...error, ...(error.stack && { stack: this.host.mapStack(error.stack) }) } };
  }

  private domainOf(id: number): DomainRun | undefined {
    return this.host.domains.find(({ plan }) => plan.config.id === id);
  }

  private line(domainId: number, vcpu: number, text: string): OutputLine {
    if (domainId !== DEVICE_DOMAIN) return { domain: this.domainOf(domainId)?.name ?? '', domainId, vcpu, text };
    return { domain: this.host.deviceNames[vcpu] ?? '', domainId, text };
  }
}
