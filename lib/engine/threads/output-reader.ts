/** The host's end of the console and the log: makes lines of what the threads wrote and hands them on in order. */
import { DEVICE_DOMAIN } from './device-thread';
import type { DomainRun } from './domain-run';
import { LineAssembler } from './line-assembler';
import type { MachineHost } from './machine-host';
import { OutputRing, RecordKind } from './output-ring';
import type { OutputLine, RunOptions } from './run-options';
import type { GuestFailure } from './vcpu-thread';

/** Stands for a vCPU in lines of a PV console, which belongs to all of them. */
const NO_VCPU = -1;

export class OutputReader {
  private readonly ring: OutputRing;
  private readonly console: LineAssembler;
  private readonly decoder = new TextDecoder();

  constructor(
    private readonly host: MachineHost,
    private readonly handlers: Pick<RunOptions, 'onConsole' | 'onConsoleOutput' | 'onLog'>,
  ) {
    this.ring = new OutputRing(host.output);
    this.console = new LineAssembler((domainId, vcpu, text) => handlers.onConsole?.(this.line(domainId, vcpu, text)));
  }

  /** Hands over what has been written so far. */
  drain(): void {
    this.ring.drain((kind, domainId, vcpu, text) => {
      if (kind === RecordKind.CONSOLE) this.console.append(domainId, vcpu, text);
      else if (kind === RecordKind.PV_CONSOLE) this.passOn(domainId, text);
      else if (kind === RecordKind.LOG) this.handlers.onLog?.(this.line(domainId, vcpu, this.decode(text)));
      else this.domainOf(domainId)?.failed(vcpu, this.failure(text));
    });
  }

  /** Hands over the rest, the last line without its newline included. */
  finish(): void {
    this.drain();
    this.console.flush();
  }

  private passOn(domainId: number, bytes: Uint8Array): void {
    this.handlers.onConsoleOutput?.({ domain: this.domainOf(domainId)?.name ?? '', domainId, bytes });
    this.console.append(domainId, NO_VCPU, bytes);
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
    if (domainId === DEVICE_DOMAIN) return { domain: this.host.deviceNames[vcpu] ?? '', domainId, text };
    const domain = this.domainOf(domainId)?.name ?? '';
    return vcpu === NO_VCPU ? { domain, domainId, text } : { domain, domainId, vcpu, text };
  }
}
