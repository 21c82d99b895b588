/** The host's end of the console and the log: makes lines of what the threads wrote and hands them on in order. */
import { DEVICE_DOMAIN } from './device-thread';
import type { DomainRun } from './domain-run';
import { LineAssembler } from './line-assembler';
import { LineKind, OutputRing } from './output-ring';
import type { OutputLine, RunOptions } from './run-options';

export class OutputReader {
  private readonly ring: OutputRing;
  private readonly console: LineAssembler;
  private readonly decoder = new TextDecoder();
  private readonly names: ReadonlyMap<number, string>;
  private readonly vcpus: number;

  constructor(
    buffer: SharedArrayBuffer,
    domains: readonly DomainRun[],
    private readonly devices: readonly string[],
    private readonly handlers: Pick<RunOptions, 'onConsole' | 'onLog'>,
    private readonly mapStack: (text: string) => string,
  ) {
    this.ring = new OutputRing(buffer);
    this.names = new Map(domains.map(({ plan, name }) => [plan.config.id, name]));
    this.vcpus = domains.reduce((sum, { plan }) => sum + plan.config.vcpus, 0);
    this.console = new LineAssembler((domainId, vcpu, text) => handlers.onConsole?.(this.line(domainId, vcpu, text)));
  }

  /** Hands over what has been written so far. */
  drain(): void {
    this.ring.drain((kind, domainId, vcpu, text) => {
      if (kind === LineKind.CONSOLE) this.console.append(domainId, vcpu, text);
      else this.handlers.onLog?.(this.line(domainId, vcpu, this.mapStack(this.decoder.decode(text))));
    });
  }

  /** Hands over the rest, the last line without its newline included. */
  finish(): void {
    this.drain();
    this.console.flush();
  }

  private line(domainId: number, vcpu: number, text: string): OutputLine {
    if (domainId !== DEVICE_DOMAIN) return { domain: this.names.get(domainId) ?? `d${domainId}`, domainId, vcpu, text };
    // Rows of devices follow those of the vCPUs and the timer thread.
    return { domain: this.devices[vcpu - this.vcpus - 1] ?? 'device', domainId, text };
  }
}
